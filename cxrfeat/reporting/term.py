"""What the words of a page mean, said where they are used: on a telephone there is no manual, and no tooltip."""

from __future__ import annotations

CHECKS = {
    "reading": "what was seen in the folder of images or its table and not used",
    "weights": "whether the network was trained before, or has random weights",
    "source": "where an image comes from: its hospital, or the data set that it was taken from",
    "unknown sources": "images whose source is not known",
    "within sources": "whether the score holds among images of one hospital, where knowing the hospital does not help",
    "container": "the file around the picture: its format, size, compression and black borders",
    "thumbnail": "the image shrunk to eight by eight pixels, in which no disease can be seen",
    "pixels": "whether the features came with small pictures of their images, which can be looked at",
    "histogram": "how many pixels there are of each grey level, regardless of where they are",
    "border only": "the image with all but its border blacked out",
    "lungs out": "the image with the lungs blacked out",
    "shuffled blocks": "the image cut into blocks and put together in another order",
    "controls": "classifiers that see no lungs; whatever they score, the disease is not needed for it",
    "age": "the patients' ages alone, without any picture",
    "sex": "the patients' sexes alone, without any picture",
    "view_position": "the view position (AP, PA) alone, without any picture",
    "encoded age": "whether the features separate older from younger patients within a class",
    "encoded sex": "whether the features separate the sexes within a class",
    "encoded view_position": "whether the features separate AP from PA within a class",
    "encoded source": "whether the features predict the source within a class",
    "children": "whether one class holds children and another does not",
    "patients": "whether it is known which images are of one person",
    "patient numbers": "whether one patient number seems to stand for several people",
    "unknown metadata": "ages, sexes and view positions that are not known for every image",
    "labels": "whether images of one patient have different labels",
    "split": "the parts for training, validation and test: one person must not be in two",
    "sets told apart": "whether the features show which data set an image of a class is from",
    "sources of both": "where the images of both data sets come from",
    "images seen": "images that are in the run's own data, or of its patients",
    "dropped parts": "images that the data's own split puts into no part",
    "regroup": "what keeping each patient on one side did to the sizes of the parts",
    "copies": "images that are the same picture",
    "copies across the split": "the same picture in two parts, so that test images were also trained on",
    "unreadable": "files that are not images, or are damaged",
    "feature file": "whether the features come from exactly the images in the folder",
    "decoder": "the programs that turned the image files into grey values",
    "features": "the features that the network computes from the images",
    "outputs": "whether a head gives the same output for every image",
    "masks": "drawings of where the lungs are",
    "letters": "letters and numbers that are part of the picture, such as L, R or a name",
    "inverted": "images in which bone is dark and air is bright",
    "blank": "images of a single grey level, or nearly so",
    "colour": "images that are not grey",
    "tiny": "images with fewer pixels than the network takes",
    "orientation": "images that lie on their side, are upside down or mirrored",
    "depth": "how many shades of grey an image really uses",
    "hot corner": "a corner of the image from which the heat comes: letters and tubes lie there, and no lung",
    "heat in lungs": "the share of the heat (of what spoke for the class) that lies in the lungs",
    "heat in border": "the share of the heat that lies in the outermost rim of the image",
    "agreement of views": "whether the heat stays in its place when the same image is moved and made brighter",
    "randomised weights": "whether the heat changes when the learned weights are randomised, as it must",
}
"""By the names of the checks, as the end of a sentence."""

RUNS = (
    ("run", "one head on one network, fitted and tested once; its name leads to its details"),
    (
        "head",
        "the small classifier that was trained here, on numbers (features) that a large network makes of an image",
    ),
    ("balanced accuracy", "the mean over the classes of the share of their images that is found (sensitivity)"),
    (
        "AUROC",
        "the chance that of two images, one of the class and one not, the right one gets the higher probability; 0.5 "
        "is guessing",
    ),
    ("within sources", "accuracy among images of one hospital or data set, where knowing it is no help"),
    ("F1", "the mean over the classes of F1, which combines precision and sensitivity"),
    ("group", "the images of one patient, and copies of a picture: they are never in two parts of a split"),
    ("95 % interval", "the range that the figure would have in 19 of 20 samples of other patients"),
)
"""Of the table of scores, in its order."""

ENCODED = (
    (
        "Cramer's V",
        "how strongly it goes with the class: near 0 it is of no use to a head, near 1 it gives the class away",
    ),
)

SHORTCUT = (
    ("seen", "what the control was given in place of the image"),
    ("container", CHECKS["container"]),
    ("thumbnail", CHECKS["thumbnail"]),
    ("ratio (shortcut ratio)", "the share of the head's AUROC above 0.5 that the control reaches; near 1 is bad"),
)

DIFFERENCES = (
    ("p (Holm)", "how often chance alone would give such a difference, corrected for the number of runs compared"),
    ("tied", "the difference may be chance"),
    ("McNemar", "a test of the images that only one of two runs gets right"),
)

BY_CLASS = (
    ("sensitivity", "of the images of the class, the share that is called it"),
    ("specificity", "of the others, the share that is not"),
    ("precision", "of the images that are called it, the share that is it"),
    ("threshold", "the probability from which an image is called the class"),
    ("operating point", "a threshold, and what it gives"),
)
