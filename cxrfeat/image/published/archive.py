"""Sets that were taken from the archives of hospitals, with several findings an image, and those of competitions."""

from __future__ import annotations

from cxrfeat.image.patient import PATIENT_PATTERNS
from cxrfeat.image.published.shape import FILE, NAME, PATH, Cell, FindingColumns, Left, Listed, Published

CHEXPERT_FINDINGS = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia",
    "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""Observations of CheXpert's labeller beside `No Finding`, which holds where none of these, devices apart, is present
or uncertain (arXiv 1901.07031)."""

_STUDY = "Patients are not given: the study stands for the patient."

NIH = Published(
    name="nih",
    title="NIH ChestX-ray14",
    facts="https://nihcc.app.box.com/v/ChestXray-NIHCC: images_001/images/00000001_000.png and so on; "
    "Data_Entry_2017.csv, or Data_Entry_2017_v2020.csv, with Finding Labels separated by bars; train_val_list.txt "
    "and test_list.txt, which split patients.",
    tables=(
        Listed(
            files=r"Data_Entry_2017\w*\.csv(?:\.gz)?",
            columns=("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position"),
        ),
        Listed(files=r"train_val_list\w*\.txt", titles=("Image Index",), mark=",", says={"official list": "train"},
               key=Cell(column="Image Index"), to=Cell(column="Image Index"), needed=False),
        Listed(files=r"test_list\w*\.txt", titles=("Image Index",), mark=",", says={"official list": "test"},
               key=Cell(column="Image Index"), to=Cell(column="Image Index"), needed=False),
    ),
    image=Cell(column="Image Index"),
    cells={
        "patient_id": Cell(column="Patient ID"),
        "split": Cell(column="official list"),
        "source": Cell(always="NIH"),
        "view_position": Cell(column="View Position"),
        "sex": (Cell(column="Patient Gender"), Cell(column="Patient Sex")),
        "age": Cell(column="Patient Age"),
    },
    findings=FindingColumns(none="No Finding", listed="Finding Labels"),
)  # fmt: skip

CHEXPERT = Published(
    name="chexpert",
    title="CheXpert",
    facts="https://stanfordmlgroup.github.io/competitions/chexpert: train.csv and valid.csv with Path, Sex, Age, "
    "Frontal/Lateral, AP/PA and 14 observations (1, 0, -1 uncertain, empty not mentioned); "
    "train/patient00001/study1/view1_frontal.jpg. The paths begin with CheXpert-v1.0-small/ or CheXpert-v1.0/.",
    tables=(
        Listed(
            files=r"(?:train|valid|test)\.csv",
            columns=("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", *CHEXPERT_FINDINGS),
        ),
    ),
    image=Cell(column="Path"),
    cells={
        "patient_id": Cell(column="Path", part=PATIENT_PATTERNS["chexpert"]),
        "split": Cell(column=FILE, part=r"^(train|valid|test)"),
        "source": Cell(always="Stanford"),
        "view_position": (Cell(column="AP/PA"), Cell(column="Frontal/Lateral", words={"Frontal": ""})),
        "sex": Cell(column="Sex"),
        "age": Cell(column="Age"),
    },
    findings=FindingColumns(none="No Finding", columns=CHEXPERT_FINDINGS),
    left=(Left(cell=Cell(column="Frontal/Lateral"), where=r"Lateral", why="lateral view", lateral=r"Lateral"),),
)

MIMIC = Published(
    name="mimic-cxr",
    title="MIMIC-CXR-JPG",
    facts="https://physionet.org/content/mimic-cxr-jpg/2.1.0/: files/p10/p10000032/s50414267/DICOM_ID.jpg; "
    "mimic-cxr-2.0.0-metadata.csv.gz (dicom_id, subject_id, study_id, ViewPosition, StudyDate and others), "
    "-split.csv.gz (train, validate, test) and -chexpert.csv.gz (a row a study: 1, 0, -1, empty). Dates are shifted "
    "for each patient.",
    tables=(
        Listed(
            files=r"mimic-cxr-[\d.]+-metadata\.csv(?:\.gz)?",
            columns=("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate"),
        ),
        Listed(
            files=r"mimic-cxr-[\d.]+-chexpert\.csv(?:\.gz)?",
            columns=("subject_id", "study_id", "No Finding", *CHEXPERT_FINDINGS),
            key=Cell(column="study_id"),
            to=Cell(column="study_id"),
        ),
        Listed(
            files=r"mimic-cxr-[\d.]+-split\.csv(?:\.gz)?",
            columns=("dicom_id", "split"),
            key=Cell(column="dicom_id"),
            to=Cell(column="dicom_id"),
            needed=False,
        ),
    ),
    image=Cell(column="dicom_id"),
    cells={
        "patient_id": Cell(column="subject_id"),
        "split": Cell(column="split"),
        "source": Cell(always="Beth Israel Deaconess"),
        "view_position": Cell(column="ViewPosition"),
        "date": Cell(column="StudyDate"),
    },
    findings=FindingColumns(none="No Finding", columns=CHEXPERT_FINDINGS),
    left=(
        Left(
            cell=Cell(column="ViewPosition"),
            where=r"(?!AP$|PA$).+",
            why="view {}, not frontal",
            lateral=r"LATERAL|LL|RL|XTABLE LATERAL",
        ),
    ),
    told="Dates are shifted, each patient's by another span: they order one patient's images only.",
)

PADCHEST = Published(
    name="padchest",
    title="PadChest",
    facts="https://bimcv.cipf.es/bimcv-projects/padchest/, arXiv 1901.07441: zipped folders 0 to 54 of 16-bit PNG; "
    "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv with Labels as a list in brackets, Projection PA, L, AP, "
    "AP_horizontal, COSTAL or EXCLUDE, and PatientBirth, the year.",
    tables=(
        Listed(
            files=r"PADCHEST_chest_x_ray_images_labels\w*[\w.]*\.csv(?:\.gz)?",
            columns=(
                "ImageID",
                "StudyDate_DICOM",
                "PatientID",
                "PatientBirth",
                "PatientSex_DICOM",
                "Projection",
                "Labels",
            ),
        ),
    ),
    image=Cell(column="ImageID"),
    cells={
        "patient_id": Cell(column="PatientID"),
        "source": Cell(always="San Juan"),
        "view_position": Cell(column="Projection"),
        "sex": Cell(column="PatientSex_DICOM"),
        "date": Cell(column="StudyDate_DICOM"),
    },
    born=Cell(column="PatientBirth"),
    findings=FindingColumns(
        none="normal", listed="Labels", between=r",", no_findings=("unchanged", "exclude", "suboptimal study")
    ),
    left=(
        Left(
            cell=Cell(column="Projection"),
            where=r"(?!(?:PA|AP|AP_horizontal)$).+",
            why="projection {}, not frontal",
            lateral=r"L",
        ),
        Left(cell=Cell(column="Labels"), where=r".*'\s*exclude\s*'.*", why="labelled exclude"),
    ),
)

RSNA = Published(
    name="rsna-pneumonia",
    title="RSNA Pneumonia Detection Challenge",
    facts="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data: stage_2_train_images/PATIENTID.dcm; "
    "stage_2_train_labels.csv (patientId, x, y, width, height, Target: a row a box) and "
    "stage_2_detailed_class_info.csv (patientId, class: Normal, No Lung Opacity / Not Normal, Lung Opacity). "
    "patientId names one image each.",
    tables=(
        Listed(files=r"stage_2_train_labels\.csv", columns=("patientId", "x", "y", "Target")),
        Listed(
            files=r"stage_2_detailed_class_info\.csv",
            columns=("patientId", "class"),
            key=Cell(column="patientId"),
            to=Cell(column="patientId"),
            needed=False,
        ),
    ),
    image=Cell(column="patientId"),
    cells={
        "label": (
            Cell(column="class"),
            Cell(column="Target", words={"1": "Lung Opacity", "0": "No Lung Opacity"}),
        ),
        "source": Cell(always="NIH"),
    },
    aside={r"stage_2_test_images/": "of the test, whose classes are not published"},
    headers_but=("patient",),
    told="patientId names an image, so nothing says which images are of one patient.",
)

VINDR = Published(
    name="vindr-cxr",
    title="VinDr-CXR (PhysioNet)",
    facts="https://physionet.org/content/vindr-cxr/1.0.0/, doi 10.1038/s41597-022-01498-w: train/ and test/ of "
    ".dicom; annotations/image_labels_train.csv (image_id, rad_id, 22 local and 6 global labels: three rows an "
    "image, one a radiologist) and image_labels_test.csv (one row, by consensus; Other disease there, Other diseases "
    "in the other). All views are PA.",
    tables=(
        Listed(
            files=r"(?:annotations/)?image_labels_(?:train|test)\.csv",
            columns=("image_id", "No finding", "Pneumothorax"),
        ),
    ),
    image=Cell(column="image_id"),
    cells={
        "split": Cell(column=FILE, part=r"_(train|test)\."),
        "source": Cell(always="VinDr"),
        "view_position": Cell(always="PA"),
    },
    findings=FindingColumns(
        none="No finding",
        but=("image_id", "rad_id"),
        words={"Other disease": "Other diseases"},
        reader="rad_id",
    ),
    told="Three radiologists read each training image: a finding is present where two or more see it, uncertain "
    "where one does. Patients and hospitals are not given.",
)

VINBIGDATA = Published(
    name="vinbigdata",
    title="VinBigData Chest X-ray Abnormalities Detection (Kaggle)",
    facts="https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection: train/ and test/ of .dicom; "
    "train.csv (image_id, class_name, class_id, rad_id and a box: a row a box and radiologist, three radiologists an "
    "image).",
    tables=(Listed(files=r"train\.csv", columns=("image_id", "class_name", "class_id", "rad_id", "x_min")),),
    image=Cell(column="image_id"),
    cells={"source": Cell(always="VinDr"), "view_position": Cell(always="PA")},
    findings=FindingColumns(none="No finding", listed="class_name", between=r"\|", reader="rad_id"),
    aside={r"test/": "of the test, whose findings are not published"},
    told="Three radiologists read each image: a finding is present where two or more see it, uncertain where one "
    "does. Patients and hospitals are not given.",
)

_APPEARANCES = ("Negative for Pneumonia", "Typical Appearance", "Indeterminate Appearance", "Atypical Appearance")

SIIM = Published(
    name="siim-covid19",
    title="SIIM-FISABIO-RSNA COVID-19 Detection",
    facts="https://www.kaggle.com/c/siim-covid19-detection/data: train/STUDY/SERIES/IMAGE.dcm; train_image_level.csv "
    "(id IMAGE_image, boxes, label, StudyInstanceUID) and train_study_level.csv (id STUDY_study, and four columns of "
    "which one is 1).",
    tables=(
        Listed(files=r"train_image_level\.csv", columns=("id", "label", "StudyInstanceUID")),
        Listed(
            files=r"train_study_level\.csv",
            columns=("id", *_APPEARANCES),
            key=Cell(column="id", part=r"^(.+)_study$"),
            to=Cell(column="StudyInstanceUID"),
        ),
    ),
    image=Cell(column="id", part=r"^(.+)_image$"),
    cells={"label": Cell(one_of=_APPEARANCES), "patient_id": Cell(column="StudyInstanceUID")},
    aside={r"test/": "of the test, whose classes are not published"},
    told=_STUDY,
)

NLM_TB = Published(
    name="nlm-tb",
    title="Tuberculosis sets of Montgomery County and Shenzhen (NLM)",
    facts="doi 10.3978/j.issn.2223-4292.2014.11.20: MontgomerySet/CXR_png/MCUCXR_0001_0.png and "
    "ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png, all PA; the last digit is 0 for normal and 1 for manifestations of "
    "tuberculosis; one image a patient. ClinicalReadings/ holds texts that begin with 'Patient's Sex: F' and "
    "'Patient's Age: 027Y', or with 'male 45yrs'.",
    paths=(r"(?:.*/)?CXR_png/(?:CHN|MCU)CXR_\d+_[01]\.",),
    tables=(
        Listed(
            files=r"(?:.*/)?ClinicalReadings/(?:CHN|MCU)CXR_\d+_[01]\.txt",
            reading={
                "sex": r"^\s*(?:Patient's Sex:\s*)?(female?|male|[FMO])\b",
                "age": r"(\d+\s*(?:Y|yrs?|years?|months?|days?))\b",
            },
            key=Cell(column=NAME),
            needed=False,
        ),
    ),
    cells={
        "label": Cell(column=PATH, part=r"(?:CHN|MCU)CXR_\d+_([01])\.\w+$", words={"0": "Normal", "1": "Tuberculosis"}),
        "patient_id": Cell(column=PATH, part=PATIENT_PATTERNS["nlm-tb"]),
        "source": Cell(
            column=PATH, part=r"(CHN|MCU)CXR_\d+_[01]\.\w+$", words={"CHN": "Shenzhen", "MCU": "Montgomery"}
        ),
        "view_position": Cell(always="PA"),
        "sex": Cell(column="sex"),
        "age": Cell(column="age"),
    },
)
