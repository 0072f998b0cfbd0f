"""Sets that were put together of COVID-19 and other pneumonia."""

from __future__ import annotations

from cxrfeat.image.patient import PATIENT_PATTERNS
from cxrfeat.image.published.shape import FILE, PATH, Cell, Left, Listed, Published

_SIDES = r"L|Lateral|LL"
_LATERAL = Left(cell=Cell(column="view"), where=_SIDES, why="lateral view", lateral=_SIDES)
_NO_XRAY = Left(cell=Cell(column="modality"), where=r"(?!X-?ray$).+", why="{}, no X-ray")

RADIOGRAPHY = Published(
    name="covid-radiography",
    title="COVID-19 Radiography Database (Kaggle)",
    facts="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database, versions 3 (three classes), "
    "4 (Lung_Opacity added) and 5 (CLASS/images next to CLASS/masks). One spreadsheet a class, COVID.metadata.xlsx, "
    "with the columns FILE NAME, FORMAT, SIZE and URL; some name NORMAL-1 what is Normal-1.png. An early one is "
    "called 'Viral Pneumonia.matadata.xlsx'.",
    paths=(r"COVID(-19)?/", r"Normal/"),
    tables=(
        Listed(
            files=r"(COVID|COVID-19|Normal|Lung_Opacity|Viral Pneumonia)\.m[ea]tadata\.xlsx",
            key=Cell(column="FILE NAME"),
        ),
    ),
    cells={"source": Cell(column="URL", part=r"^\s*(?:https?://)?(?:www\.)?([^?#]+?)/*\s*(?:[?#].*)?$")},
    told="The source of an image is the collection that it was taken from; patients are not given.",
)

QU_EX = Published(
    name="covid-qu-ex",
    title="COVID-QU-Ex",
    facts="https://www.kaggle.com/datasets/anasmohammedtahir/covidqu, doi 10.1016/j.compbiomed.2021.104319: 'Lung "
    "Segmentation Data' holds all images, 'Infection Segmentation Data' some of them again, each in Train, Val and "
    "Test, below these COVID-19, Non-COVID and Normal, below these images and 'lung masks' ('infection masks').",
    paths=(r"(?:Lung Segmentation Data/){1,2}(?:Train|Val|Test)/(?:COVID-19|Non-COVID|Normal)/images/",),
    aside={r"Infection Segmentation Data/": "again in 'Infection Segmentation Data'"},
    told="Sources and patients are not given.",
)

COVIDX = Published(
    name="covidx",
    title="COVIDx",
    facts="https://github.com/lindawangg/COVID-Net, docs/COVIDx.md and labels/: train_COVIDx9A.txt and "
    "test_COVIDx9A.txt (on Kaggle, andyczhao/covidx-cxr2: train.txt, test.txt, later val.txt) next to the folders "
    "train and test; lines of patient, file, class and, in later versions, source, separated by spaces.",
    tables=(
        Listed(
            files=r"(?:labels/)?(?:train|test|val)(?:_COVIDx\w*(?:-\w+)?)?\.txt",
            titles=("patient id", "filename", "class", "source"),
            line=r"\S+ \S+\.(?:png|jpe?g) (?:normal|pneumonia|COVID-19|positive|negative)(?: \S+)?",
            mark=" ",
            version=r"^(?:train|test|val)(.*)\.txt$",
        ),
    ),
    image=Cell(column="filename"),
    cells={
        "label": Cell(column="class"),
        "patient_id": Cell(column="patient id", part=r"^(COVID-\d{5}(?=[a-z]$)|.+)"),
        "source": Cell(column="source"),
        "split": Cell(column=FILE, part=r"^(train|test|val)"),
    },
)

IEEE8023 = Published(
    name="ieee8023",
    title="COVID-19 Image Data Collection",
    facts="https://github.com/ieee8023/covid-chestxray-dataset, SCHEMA.md: view is PA, AP, AP Supine, L, or Axial "
    "and Coronal for CT; modality is X-ray or CT; location is hospital, city, country; folder is images or volumes.",
    tables=(
        Listed(
            files=r"metadata\.csv",
            columns=("patientid", "offset", "finding", "view", "modality", "location", "folder", "filename"),
        ),
    ),
    image=Cell(column="filename"),
    cells={
        "folder": Cell(column="folder"),
        "label": Cell(column="finding"),
        "patient_id": Cell(column="patientid"),
        "source": Cell(column="location"),
        "view_position": Cell(column="view"),
        "sex": Cell(column="sex"),
        "age": Cell(column="age"),
        "date": Cell(column="date"),
    },
    left=(_NO_XRAY, _LATERAL, Left(cell=Cell(column="finding"), where=r"todo|unknown", why="finding {}")),
    aside={r"volumes/": "a CT volume"},
)

FIGURE1 = Published(
    name="figure1",
    title="Figure 1 COVID-19 Chest X-ray Dataset",
    facts="https://github.com/agchung/Figure1-COVID-chestxray-dataset, metadata.csv (Latin-1) and images/: patientid "
    "is the name of the image without suffix; COVID-00003a and COVID-00003b are one patient, with the same notes.",
    tables=(
        Listed(
            files=r"metadata\.csv",
            columns=("patientid", "offset", "finding", "survival", "view", "modality", "artifacts/distortion"),
        ),
    ),
    paths=(r"images/COVID-\d{5}[a-z]?\.",),
    image=Cell(column="patientid"),
    cells={
        "label": Cell(column="finding"),
        "patient_id": Cell(column="patientid", part=r"^(COVID-\d+)"),
        "view_position": Cell(column="view"),
        "sex": Cell(column="sex"),
        "age": Cell(column="age"),
    },
    left=(_NO_XRAY, _LATERAL),
)

ACTUALMED = Published(
    name="actualmed",
    title="Actualmed COVID-19 Chest X-ray Dataset",
    facts="https://github.com/agchung/Actualmed-COVID-chestxray-dataset, metadata.csv: finding is empty where the "
    "notes say 'Inconclusive', which end with 'date taken (YYYYMMDD): 20200313'.",
    tables=(
        Listed(
            files=r"metadata\.csv",
            columns=("patientid", "offset", "finding", "view", "modality", "imagename", "notes"),
        ),
    ),
    image=Cell(column="imagename"),
    cells={
        "label": Cell(column="finding"),
        "patient_id": Cell(column="patientid"),
        "view_position": Cell(column="view"),
        "sex": Cell(column="sex"),
        "age": Cell(column="age"),
        "date": Cell(column="notes", part=r"date taken \(YYYYMMDD\): (\d{8})"),
    },
    left=(
        _NO_XRAY,
        _LATERAL,
        Left(cell=Cell(column="notes", part=r"^(Inconclusive)"), where=r"Inconclusive", why="inconclusive"),
    ),
)

CXNET = Published(
    name="covid-cxnet",
    title="COVID-CXNet",
    facts="https://github.com/armiro/COVID-CXNet, metadata.csv and chest_xray_images/covid19/: it describes the "
    "images of COVID-19 alone, some of them (.jfif among the names); normal images are sent by mail.",
    paths=(r"chest_xray_images/covid19/",),
    tables=(
        Listed(
            files=r"metadata\.csv",
            columns=("filename", "patient_id", "label", "pcr_test", "location", "url"),
            key=Cell(column="filename"),
            to=Cell(column=PATH, part=r"([^/]+)$"),
        ),
    ),
    cells={
        "patient_id": Cell(column="patient_id"),
        "source": Cell(column="location"),
        "view_position": Cell(column="view"),
        "sex": Cell(column="sex"),
        "age": Cell(column="age"),
        "label": (
            Cell(column="label"),
            Cell(column=PATH, part=r"^chest_xray_images/(covid19)/", words={"covid19": "COVID-19"}),
            Cell(column=PATH, part=r"^chest_xray_images/([^/]+)/"),
        ),
    },
)

HANNOVER = Published(
    name="hannover",
    title="COVID-19 Image Repository (Hannover)",
    facts="https://github.com/ml-workgroup/covid-19-image-repository, data.csv and png/: image_id is the name of the "
    "image; all patients had COVID-19; projection is ap or pa, modality CR or DX.",
    tables=(
        Listed(
            files=r"data\.csv",
            columns=("patient_id", "image_id", "admission_offset", "modality", "projection"),
        ),
    ),
    image=Cell(column="image_id"),
    cells={
        "label": Cell(always="COVID-19"),
        "patient_id": Cell(column="patient_id"),
        "source": Cell(always="Hannover"),
        "view_position": Cell(column="projection"),
        "sex": Cell(column="sex"),
        "age": Cell(column="age"),
    },
    told="All images are of COVID-19: add others of another class, from the same hospital if there are any.",
)

KERMANY = Published(
    name="kermany",
    title="Chest X-ray images of children, Guangzhou (Kermany)",
    facts="doi 10.17632/rscbjbr9sj, on Kaggle paultimothymooney/chest-xray-pneumonia: chest_xray/train, test and "
    "val, below these NORMAL and PNEUMONIA; anterior-posterior views of children of one to five years; names are "
    "person1_bacteria_1.jpeg, IM-0115-0001.jpeg and NORMAL2-IM-0383-0001.jpeg, of which the first number is the "
    "patient's. Numbers start again in the folder test.",
    paths=(
        r"(?:.*/)?(?:train|test|val)/PNEUMONIA/(?:person\d+_(?:bacteria|virus)_\d+|(?:BACTERIA|VIRUS)-\d+-\d+)\.jpe?g",
        r"(?:.*/)?(?:train|test|val)/NORMAL/(?:(?:NORMAL2-)?IM|NORMAL)-\d+-\d+(?:-\d+)?\.jpe?g",
    ),
    cells={
        "patient_id": Cell(column=PATH, part=PATIENT_PATTERNS["kermany"]),
        "source": Cell(always="Guangzhou"),
        "view_position": Cell(always="AP"),
    },
)
