"""Two reporting checklists, filled in as far as a run knows, the rest marked as the author's.

Numbers are those of the guidelines; the words are ours, and short. TRIPOD+AI's 52 numbers and what each is about were
held against a reprint of its list under the list's own license. CLAIM's 44 were held against a summary by others, not
against the table of the article, which could not be reached: where the two differ, the article is right. Whoever
reports works from the originals:

- CLAIM 2024: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update. Radiology:
  Artificial Intelligence 2024;6(4):e240300.
- TRIPOD+AI: Collins et al., TRIPOD+AI statement. BMJ 2024;385:e078378.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cxrfeat.reporting.card_page import inline, recalibration, table
from cxrfeat.reporting.table import with_interval
from cxrfeat.spec import HeadSpec, to_dict

Card = Mapping[str, Any]
YOURS = "Yours to fill in."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """A reporting guideline."""

    title: str
    source: str
    items: tuple[tuple[str, str, str], ...]
    """Number, what it is about, and the name of an answer in `ANSWERS`, or an empty text."""


CLAIM = Checklist(
    title="CLAIM 2024",
    source="Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300, doi 10.1148/ryai.240300",
    items=(
        ("1", "Title names AI and its kind", ""),
        ("2", "Structured abstract", ""),
        ("3", "Background, and the intended clinical use", ""),
        ("4", "Objectives and hypotheses", ""),
        ("5", "Prospective or retrospective", ""),
        ("6", "Aim of the study", ""),
        ("7", "Data sources", "data"),
        ("8", "Inclusion and exclusion criteria", "exclusions"),
        ("9", "Preprocessing of the images", "steps"),
        ("10", "Selection of a subset of the data", "selection"),
        ("11", "De-identification", "privacy"),
        ("12", "Handling of missing data", "missing"),
        ("13", "Image acquisition", ""),
        ("14", "Definition of the reference standard", "outcome"),
        ("15", "Reasons for that reference standard", ""),
        ("16", "Who labelled the images, with what training", ""),
        ("17", "Labelling of the test images", ""),
        ("18", "Agreement between readers", ""),
        ("19", "Assignment of images to partitions", "split"),
        ("20", "Level at which partitions are disjoint (patients, images)", "disjoint"),
        ("21", "Intended sample size, and why", "size"),
        ("22", "The model: input, layers and output", "model"),
        ("23", "Software", "software"),
        ("24", "Initial parameters", "start"),
        ("25", "Training", "training"),
        ("26", "Selection of the final model", "choice"),
        ("27", "Ensembles", "ensemble"),
        ("28", "Performance measures", "metrics"),
        ("29", "Uncertainty of the measures", "uncertainty"),
        ("30", "Robustness and sensitivity analysis", "robustness"),
        ("31", "Explainability", "explained"),
        ("32", "Internal test", "internal"),
        ("33", "External test", "external"),
        ("34", "Registration, if it is a clinical trial", ""),
        ("35", "Numbers included and excluded", "exclusions"),
        ("36", "Demographics, by partition", "people"),
        ("37", "Results with their uncertainty", "results"),
        ("38", "Diagnostic accuracy", "accuracy"),
        ("39", "Analysis of failures", "failures"),
        ("40", "Limitations", "limits"),
        ("41", "Implications for practice", "use"),
        ("42", "Access to the full protocol", ""),
        ("43", "Availability of software, model and data", "availability"),
        ("44", "Funding", ""),
    ),
)

TRIPOD = Checklist(
    title="TRIPOD+AI",
    source="Collins et al., BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378",
    items=(
        ("1", "Title: development or evaluation, of what, in whom", ""),
        ("2", "Abstract, by the guideline's list for abstracts", ""),
        ("3a", "Health care context, and existing models", ""),
        ("3b", "Target population, place in care, intended users", "use"),
        ("3c", "Known inequalities between groups of people", ""),
        ("4", "Objectives", ""),
        ("5a", "Data sources, and how representative they are", "data"),
        ("5b", "When they were collected", "dates"),
        ("6a", "Setting and centres", "sources"),
        ("6b", "Eligibility", "exclusions"),
        ("6c", "Treatments", ""),
        ("7", "Data preparation and quality checks, the same for all groups", "steps"),
        ("8a", "The outcome, and how it was assessed", "outcome"),
        ("8b", "Who assessed it", ""),
        ("8c", "Blinding of the assessors", ""),
        ("9a", "Choice of predictors", "model"),
        ("9b", "Definition and measurement of predictors", "steps"),
        ("9c", "Who assessed predictors that need judgement", "judged"),
        ("10", "Sample size", "size"),
        ("11", "Missing data", "missing"),
        ("12a", "How data were used and split", "split"),
        ("12b", "How predictors were handled", "standardised"),
        ("12c", "Type of model, how it was built and internally validated", "training"),
        ("12d", "Differences between clusters, such as hospitals", "clusters"),
        ("12e", "Measures of performance", "metrics"),
        ("12f", "Whether the model was updated", "updated"),
        ("12g", "How predictions are computed", "code"),
        ("13", "Imbalance of classes", "imbalance"),
        ("14", "Fairness", "fairness"),
        ("15", "Output of the model, and thresholds", "outputs"),
        ("16", "Differences between development and evaluation data", "external"),
        ("17", "Ethics approval", ""),
        ("18a", "Funding", ""),
        ("18b", "Conflicts of interest", ""),
        ("18c", "Protocol", ""),
        ("18d", "Registration", ""),
        ("18e", "Data availability", ""),
        ("18f", "Code availability", "software"),
        ("19", "Patient and public involvement", ""),
        ("20a", "Flow of participants", "exclusions"),
        ("20b", "Characteristics of participants", "people"),
        ("20c", "Differences in predictors between the data sets", "external"),
        ("21", "Numbers in each analysis", "counts"),
        ("22", "Full specification of the model, for use by others", "file"),
        ("23a", "Performance with intervals, in key subgroups too", "results"),
        ("23b", "Differences between clusters", "clusters"),
        ("24", "Results of updating the model", "updated"),
        ("25", "Interpretation", ""),
        ("26", "Limitations", "limits"),
        ("27a", "Handling of poor or missing input", "poor"),
        ("27b", "What users must do and know", "code"),
        ("27c", "Future research", ""),
    ),
)


def filled(checklist: Checklist, card: Card) -> list[dict[str, Any]]:
    """Each item with what the card answers; where it answers nothing, `yours` is true."""
    rows = []
    for number, topic, name in checklist.items:
        answer = ANSWERS[name](card) if name else ""
        rows.append({"item": number, "about": topic, "answer": answer or YOURS, "yours": not answer})
    return rows


def checklist_page(checklist: Checklist, card: Card) -> str:
    """A checklist as Markdown."""
    rows = filled(checklist, card)
    yours = sum(row["yours"] for row in rows)
    words = (
        f"Prefilled by cxrfeat from what the run knows: {len(rows) - yours} of {len(rows)} items have an answer to "
        f"check and to finish, {yours} are the author's alone. Numbers are the guideline's, the words for its items "
        f"are ours and short: report by the original, {checklist.source}."
    )
    shown = table(("item", "about", "what is known"), [(row["item"], row["about"], row["answer"]) for row in rows])
    return f"# {checklist.title} for {inline(card['name'])}\n\n{words}\n\n{shown}\n"


def _data(card: Card) -> str:
    data = card["data"]
    classes = ", ".join(f"{name} {count}" for name, count in data["classes"].items())
    return f"Data set {data['dataset']} ({data['known']}): {classes}. {_sources(card)} Say where each source is from."


def _sources(card: Card) -> str:
    sources = card["data"].get("sources")
    return "Sources: " + ", ".join(f"{name} {n}" for name, n in sources.items()) + "." if sources else ""


def _exclusions(card: Card) -> str:
    data = card["data"]
    unusable = sum(data.get("unusable", {}).values())
    told = f"{unusable} files could not be used; " if "unusable" in data else ""
    return (
        f"{told}{data['excluded_by_hand']} images were left out by hand; {data['images']} images of {data['groups']} "
        "patients or groups remain. Say who was eligible."
    )


def _dates(card: Card) -> str:
    known = card["data"].get("columns", {}).get("date", 0)
    return f"The date of {known} images is known; give the first and the last." if known else ""


def _people(card: Card) -> str:
    columns = card["data"].get("columns")
    if not columns:
        return ""
    return (
        "Known of the images: " + ", ".join(f"{name} of {n}" for name, n in columns.items()) + ". Add a table by part."
    )


def _counts(card: Card) -> str:
    parts: dict[str, int] = {}
    for one in card["data"]["counts"]:
        parts[one["part"]] = parts.get(one["part"], 0) + one["images"]
    told = ", ".join(f"{name} {n}" for name, n in parts.items())
    return f"Images: {told}." if told else f"Test: {card['test']['images']} images of {card['test']['groups']} groups."


def _split(card: Card) -> str:
    split = card["split"]
    folds = f", {split['folds']} folds" if split.get("folds") else ""
    return f"By {split['by']}{folds}, seed {split['seed']}; digest of the split {split['sha256'][:12]}."


def _disjoint(card: Card) -> str:
    if card["split"]["by"] == "paper":
        return "Images only: patients and copies may be in several parts."
    return "Patients, as far as they are known, and copies of images (same bytes, same pixels, near copies)."


def _model(card: Card) -> str:
    model = card["model"]
    return (
        f"{model['size']} x {model['size']} grey pixels; the network {model['network']}, averaged over space; a head "
        f"({model['head']}) on its features; probabilities of {', '.join(model['classes'])}."
    )


def _training(card: Card) -> str:
    model = card["model"]
    spec = model["finetune_spec"] or model["head_spec"] or model["search"]
    how = "Network and head were trained together" if model["finetune_spec"] else "The head was fitted, the network not"
    said = {"kind": model["head"], **(spec or {})}
    usual = to_dict(HeadSpec(kind=model["head"])) if model["head_spec"] else {}
    settings = ", ".join(
        f"{key} {value}"
        for key, value in said.items()
        if value is not None
        and (key in ("kind", "strength") or not (isinstance(value, dict | list) or value == usual.get(key)))
    )
    return f"{how}: {settings}; all else as by default in cxrfeat."


def _choice(card: Card) -> str:
    if card["model"]["search"]:
        return "Searched for in inner folds of the training part; the test part was opened afterwards."
    if card["model"]["finetune_spec"]:
        return "The epoch with the least validation loss."
    hot = card["model"]["temperature"]
    calibrated = "" if hot == 1 else f"; a temperature of {hot:.3g} for calibration from the validation part"
    return f"Its settings were fixed beforehand{calibrated}."


def _missing(card: Card) -> str:
    columns = card["data"].get("columns")
    if not columns:
        return ""
    total = card["data"]["images"]
    lacking = ", ".join(f"{name} of {total - n}" for name, n in columns.items() if n < total)
    return f"Unknown, and left unknown: {lacking}. Images without a label were not used." if lacking else ""


def _metrics(card: Card) -> str:
    return (
        "Accuracy, balanced accuracy, macro F1, sensitivity, specificity, precision, AUROC and AUPRC of each class, "
        "Brier score, log loss, calibration error (15 bins)."
    )


def _uncertainty(card: Card) -> str:
    return (
        "95 % intervals over patients or groups: bootstrap where many bear a figure, exact ones where few do, none "
        "below 8 of a class."
    )


def _results(card: Card) -> str:
    test = card["test"]
    told = ", ".join(
        f"{title} {with_interval(test[name], test[f'{name}_ci'])}"
        for name, title in (("accuracy", "accuracy"), ("auroc", "AUROC"), ("ece", "calibration error"))
    )
    return f"{told}, on {test['images']} images of {test['groups']} groups; more in the model card."


def _accuracy(card: Card) -> str:
    test = card["test"]
    return "; ".join(
        f"{name}: sensitivity {with_interval(test['sensitivity'][name], test['sensitivity_ci'][name])}, specificity "
        f"{with_interval(test['specificity'][name], test['specificity_ci'][name])}"
        for name in test["classes"]
    )


def _failures(card: Card) -> str:
    rows = card["test"]["confusion"]
    told = "; ".join(f"{name} called {row}" for name, row in zip(card["test"]["classes"], rows, strict=True))
    return f"Counts by called class, in the order of the classes: {told}. Look at the images: cxrfeat report."


def _external(card: Card) -> str:
    names = ", ".join(str(one.get("data", "?")) for one in card["validations"])
    return f"Tested on {names}; the model card has the figures. Say how these differ in setting." if names else ""


def _clusters(card: Card) -> str:
    within = card["test"]["within_source"]
    if not within["images"]:
        return "No source has images of several classes, so performance within sources cannot be reported."
    return (
        f"Within sources: accuracy {with_interval(within['accuracy'], within['accuracy_ci'])} on {within['images']} "
        f"images of {within['sources']} sources."
    )


def _fairness(card: Card) -> str:
    by = sorted({one["by"] for one in card["subgroups"]})
    return f"Scores in subgroups by {', '.join(by)} are in the model card." if by else ""


def _robustness(card: Card) -> str:
    told = [f"{one['check']} {one['status']}" for one in card["audit"]]
    return f"Checks for shortcuts and leaks: {', '.join(told)}." if told else ""


def _limits(card: Card) -> str:
    failed = [f"{one['check']}: {one['why']}" for one in card["audit"] if one["status"] != "pass"]
    return " ".join(failed + ([] if card["validations"] else ["It was not validated elsewhere."]))


ANSWERS: dict[str, Callable[[Card], str]] = {
    "accuracy": _accuracy,
    "availability": lambda card: (
        f"Model: {card['model']['file']} (SHA-256 {card['model']['sha256'][:12]}); software: cxrfeat "
        f"{card['versions']['cxrfeat']}. Say where they, and the data, can be had."
    ),
    "choice": _choice,
    "clusters": _clusters,
    "code": lambda card: "An image is resized and handed to the model: the model card has the code.",
    "counts": _counts,
    "data": _data,
    "dates": _dates,
    "disjoint": _disjoint,
    "ensemble": lambda card: "One model.",
    "exclusions": _exclusions,
    "explained": lambda card: "Heat maps with checks of their own: cxrfeat explain. Say what they showed.",
    "external": _external,
    "failures": _failures,
    "fairness": _fairness,
    "file": lambda card: (
        f"{card['model']['file']}, SHA-256 {card['model']['sha256']}: network, head and calibration, complete."
    ),
    "imbalance": lambda card: (
        f"Classes: {', '.join(f'{name} {n}' for name, n in card['data']['classes'].items())}; class weights "
        f"{(card['model']['head_spec'] or {}).get('class_weights', 'none')}."
    ),
    "internal": lambda card: f"{_split(card)} {_results(card)}",
    "judged": lambda card: "None: predictors are computed from pixels.",
    "limits": _limits,
    "metrics": _metrics,
    "missing": _missing,
    "model": _model,
    "outcome": lambda card: (
        f"Labels of the data set: {', '.join(card['model']['classes'])}. Say by what and by whom they were given."
    ),
    "outputs": lambda card: "; ".join(card["model"]["outputs"]) + ". The most probable class is called.",
    "people": _people,
    "poor": lambda card: (
        "Images far from those it was trained on are flagged (out_of_distribution), at a rate of about 1 % of images "
        "like these; files that cannot be read are refused before."
    ),
    "privacy": lambda card: (
        "Files hold salted ids, no path and no patient. Say how the images themselves were treated."
    ),
    "results": _results,
    "robustness": _robustness,
    "selection": lambda card: f"{card['data']['images']} images are used; {card['data']['excluded_by_hand']} left out.",
    "size": lambda card: f"{_counts(card)} Say how that number came about.",
    "software": lambda card: ", ".join(f"{name} {version}" for name, version in card["versions"].items()) + ".",
    "sources": _sources,
    "split": _split,
    "standardised": lambda card: (
        "Features are standardised by the training part where the head says so; none is chosen."
    ),
    "start": lambda card: f"The network's weights are {card['model']['network_weights']}.",
    "steps": lambda card: " ".join(card["model"]["steps"]),
    "training": _training,
    "uncertainty": _uncertainty,
    "updated": lambda card: " ".join(filter(None, map(recalibration, card["validations"]))) or "Not updated.",
    "use": lambda card: f"{' '.join(card['intended_use'])} Not for: {' '.join(card['unintended_use'])}",
}
"""What a card answers, by a name; an empty text where it does not."""
