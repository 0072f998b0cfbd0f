"""Small trees with the names and columns of published sets; their images are empty files."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.image.encode import encode, noise

Make = Callable[[Path], None]

CHEXPERT = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def files(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def text(root: Path, name: str, *lines: str, encoding: str = "utf-8") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = ("\n".join(lines) + "\n").encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def spreadsheet(root: Path, name: str, *rows: Sequence[Any]) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra tables")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    file = io.BytesIO()
    book.save(file)
    (root / name).write_bytes(file.getvalue())


def filled(root: Path) -> Path:
    """Pictures in place of the empty files, each another."""
    for seed, path in enumerate(sorted(root.rglob("*"))):
        kind = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix)
        if kind and path.is_file() and not path.name.startswith("._"):
            path.write_bytes(encode(noise(seed), kind))
    return root


def chexpert_row(**observations: str) -> str:
    """The 14 observations as CheXpert's tables have them; what is not named is empty."""
    given = {name.replace("_", " "): value for name, value in observations.items()}
    return ",".join(given.get(name, "") for name in CHEXPERT.split(","))


_URLS = {
    "COVID": ["https://sirm.org/category/senza-categoria/covid-19/",
              "https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/#1590858128006-9e640421-6711"],
    "Normal": ["https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"] * 2,
    "Lung_Opacity": ["https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"] * 2,
    "Viral Pneumonia": ["https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia"] * 2,
}  # fmt: skip


def radiography_3(root: Path) -> None:
    root = root / "COVID-19 Radiography Database"
    for name, title, urls in (
        ("COVID", "COVID ({}).png", _URLS["COVID"]),
        ("NORMAL", "NORMAL ({}).png", _URLS["Normal"]),
        ("Viral Pneumonia", "Viral Pneumonia ({}).png", _URLS["Viral Pneumonia"]),
    ):
        files(root, *(f"{name}/{title.format(number)}" for number in (1, 2)))
        table = f"{name}.{'matadata' if name.startswith('Viral') else 'metadata'}.xlsx"
        rows = [
            (title.format(number).removesuffix(".png"), "PNG", "1024*1024", url) for number, url in enumerate(urls, 1)
        ]
        spreadsheet(root, table, ("FILE NAME", "FORMAT", "SIZE", "URL"), *rows)
    text(root, "README.md.txt", "a database")


def _radiography(root: Path, inside: str) -> None:
    root = root / "COVID-19_Radiography_Dataset"
    for name, urls in _URLS.items():
        files(root, *(f"{name}/{inside}{name}-{number}.png" for number in (1, 2)))
        if inside:
            files(root, *(f"{name}/masks/{name}-{number}.png" for number in (1, 2)))
        listed = name.upper() if name == "Normal" else name
        rows = [(f"{listed}-{number}", "PNG", "256*256", url) for number, url in enumerate(urls, 1)]
        spreadsheet(root, f"{name}.metadata.xlsx", ("FILE NAME", "FORMAT", "SIZE", "URL"), *rows)
    text(root, "README.md.txt", "a database")


def radiography_4(root: Path) -> None:
    _radiography(root, "")


def radiography_5(root: Path) -> None:
    _radiography(root, "images/")


def qu_ex(root: Path) -> None:
    for part in ("Train", "Val", "Test"):
        for name, stem in (("COVID-19", "covid"), ("Non-COVID", "non_COVID"), ("Normal", "Normal")):
            for number in (1, 2):
                image = f"{stem}_{part}_{number}.png"
                files(root, f"Lung Segmentation Data/Lung Segmentation Data/{part}/{name}/images/{image}")
                files(root, f"Lung Segmentation Data/Lung Segmentation Data/{part}/{name}/lung masks/{image}")
                if number == 1:
                    for folder in ("images", "lung masks", "infection masks"):
                        files(
                            root,
                            f"Infection Segmentation Data/Infection Segmentation Data/{part}/{name}/{folder}/{image}",
                        )


def covidx(root: Path) -> None:
    files(
        root, "train/47c78742.png", "train/COVID-00003b.jpg", "train/ricord-1.png", "test/ricord-2.png", "test/8e.png"
    )
    text(root, "train.txt", "47c78742 47c78742.png negative rsna", "COVID-00003b COVID-00003b.jpg positive fig1",
         "419639-000025 ricord-1.png positive ricord")  # fmt: skip
    text(root, "test.txt", "419639-001464 ricord-2.png positive ricord", "8e 8e.png negative rsna")


def ieee8023(root: Path) -> None:
    files(root, "images/a.jpeg", "images/a-L.jpeg", "images/b.jpg", "images/c.png", "images/d.png", "images/ct.jpg")
    files(root, "volumes/v.nii.gz", "annotations/lungVAE-masks/a_mask.png")
    text(
        root,
        "metadata.csv",
        "patientid,offset,sex,age,finding,RT_PCR_positive,survival,intubated,view,modality,date,location,folder,filename,"
        "doi,url,license,clinical_notes,other_notes",
        '2,0,M,65,Pneumonia/Viral/COVID-19,Y,Y,N,PA,X-ray,"January 22, 2020","Cho Ray, Vietnam",images,a.jpeg,,,,,',
        '2,3,M,65,Pneumonia/Viral/COVID-19,Y,Y,N,L,X-ray,"January 25, 2020","Cho Ray, Vietnam",images,a-L.jpeg,,,,,',
        "4,5,F,,Pneumonia/Viral/SARS,,,,AP Supine,X-ray,2004,,images,b.jpg,,,,,",
        "5,0,F,52,No Finding,,,,PA,X-ray,2020,,images,c.png,,,,,",
        "6,0,,,todo,,,,PA,X-ray,2020,,images,d.png,,,,,",
        "4,6,F,,Pneumonia/Viral/SARS,,,,Axial,CT,2004,,images,ct.jpg,,,,,",
        "7,6,F,,Pneumonia/Viral/COVID-19,,,,Axial,CT,2020,,volumes,v.nii.gz,,,,,",
    )


def figure1(root: Path) -> None:
    files(
        root, "images/COVID-00001.jpg", "images/COVID-00003a.jpg", "images/COVID-00003b.jpg", "images/COVID-00009.png"
    )
    text(
        root,
        "metadata.csv",
        "patientid,offset,sex,age,finding,survival,temperature,pO2 saturation,view,modality,artifacts/distortion,notes",
        "COVID-00001,13,M,33,COVID-19,,,58,AP erect,X-ray,,Temperature 37.5°",
        "COVID-00003a,8,M,28,COVID-19,,39.1,90,AP erect,X-ray,,",
        "COVID-00003b,8,M,28,COVID-19,,39.1,90,AP erect,X-ray,,Post-intubation",
        "COVID-00009,,,,No finding,,,,PA,X-ray,,",
        "COVID-00010,,,,,,,,,X-ray,,",
        encoding="latin-1",
    )


def actualmed(root: Path) -> None:
    names = [f"CR.1.2.840.113564.{number}.png" for number in range(4)]
    files(root, *(f"images/{name}" for name in names))
    text(
        root,
        "metadata.csv",
        "patientid,offset,sex,age,finding,survival,temperature,pO2 saturation,view,modality,imagename,"
        "artifacts/distortion,notes",
        f'ANON196,,,,,,,,PA,X-ray,{names[0]},,"Inconclusive, date taken (YYYYMMDD): 20200313"',
        f'ANON56,,,,No finding,,,,PA,X-ray,{names[1]},,"Negative (covid-19 viral infection is excluded), date taken '
        '(YYYYMMDD): 20200317"',
        f'ANON196,,,,COVID-19,,,,PA,X-ray,{names[2]},,", date taken (YYYYMMDD): 20200318"',
        f'ANON91,,,,No finding,,,,AP,X-ray,{names[3]},,"Negative, date taken (YYYYMMDD): 20200319"',
    )


def cxnet(root: Path) -> None:
    files(
        root, "chest_xray_images/covid19/260.jpg", "chest_xray_images/covid19/364.jpg", "chest_xray_images/normal/1.png"
    )
    text(
        root,
        "metadata.csv",
        "filename,patient_id,sex,age,view,label,pcr_test,survival,location,admission_offset,symptom_offset,also_had_ct,"
        "has_fever,has_cough,has_dyspnea,has_diarrhea,spo2,other_symptoms,medical_background,opacification,other,"
        "is_bilateral,url",
        "260.jpg,10,female,68,,COVID-19,positive,,Spain,,,,1,1,,,,,,,,,https://twitter.com/x",
    )


def hannover(root: Path) -> None:
    files(root, "png/b343e657.png", "png/c9280a30.png", "png/2168a917.png")
    text(
        root,
        "data.csv",
        "patient_id,image_id,sex,age,size,weight,admission_offset,icu_admission_offset,icu_release_offset,death_offset,"
        "modality,projection,crp_offset",
        "042f06a9,b343e657,m,,,,0,0.0,4.0,,CR,ap,0.0",
        "042f06a9,c9280a30,m,,,,-2,-2.0,2.0,,CR,ap,0.0",
        "09ec853d,2168a917,m,,,,-21,-21.0,-11.0,,DX,pa,0.0",
    )


def kermany(root: Path) -> None:
    top = "chest_xray"
    files(
        root,
        f"{top}/train/PNEUMONIA/person1_bacteria_1.jpeg", f"{top}/train/PNEUMONIA/person1_bacteria_2.jpeg",
        f"{top}/train/PNEUMONIA/person1000_virus_1681.jpeg", f"{top}/val/PNEUMONIA/person1946_bacteria_4874.jpeg",
        f"{top}/test/PNEUMONIA/person1_virus_6.jpeg",
        f"{top}/train/NORMAL/IM-0115-0001.jpeg", f"{top}/train/NORMAL/NORMAL2-IM-0383-0001.jpeg",
        f"{top}/train/NORMAL/NORMAL2-IM-0383-0002.jpeg",
        f"{top}/val/NORMAL/NORMAL2-IM-1427-0001.jpeg", f"{top}/test/NORMAL/IM-0001-0001.jpeg",
    )  # fmt: skip
    for path in sorted((root / top).rglob("*.jpeg")):  # as in Kaggle's archive, which holds itself once more
        files(root, f"{top}/{top}/{path.relative_to(root / top)}")
    files(root, f"{top}/__MACOSX/chest_xray/train/PNEUMONIA/._person1_bacteria_1.jpeg")


def nih(root: Path) -> None:
    files(root, "images_001/images/00000001_000.png", "images_001/images/00000001_001.png",
          "images_002/images/00001336_000.png", "images_002/images/00001337_000.png")  # fmt: skip
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    tail = "2682,2749,0.143,0.143,"
    text(
        root,
        "Data_Entry_2017.csv",
        header,
        f"00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,{tail}",
        f"00000001_001.png,Cardiomegaly|Emphysema,1,1,058Y,M,PA,{tail}",
        f"00001336_000.png,No Finding,0,1336,411,F,AP,{tail}",
        f"00001337_000.png,No Finding,0,1337,052Y,F,AP,{tail}",
        f"00009999_000.png,Mass,0,9999,052Y,F,AP,{tail}",
    )
    text(root, "train_val_list.txt", "00000001_000.png", "00000001_001.png", "00009999_000.png")
    text(root, "test_list.txt", "00001336_000.png", "00001337_000.png")
    text(
        root,
        "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,",
        "00000001_000.png,Cardiomegaly,1,2,3,4,,,",
    )


def chexpert(root: Path) -> None:
    top = "CheXpert-v1.0-small"
    files(root, *(f"{top}/{path}" for path in (
        "train/patient00001/study1/view1_frontal.jpg", "train/patient00002/study1/view1_frontal.jpg",
        "train/patient00002/study1/view2_lateral.jpg", "train/patient00003/study1/view1_frontal.jpg",
        "valid/patient64541/study1/view1_frontal.jpg",
    )))  # fmt: skip
    header = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT}"
    text(
        root, f"{top}/train.csv", header,
        f"{top}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,"
        + chexpert_row(No_Finding="1.0", Pneumothorax="0.0", Support_Devices="1.0"),
        f"{top}/train/patient00002/study1/view1_frontal.jpg,Female,87,Frontal,PA,"
        + chexpert_row(Cardiomegaly="-1.0", Edema="1.0"),
        f"{top}/train/patient00002/study1/view2_lateral.jpg,Female,87,Lateral,," + chexpert_row(Edema="1.0"),
        f"{top}/train/patient00003/study1/view1_frontal.jpg,Male,41,Frontal,AP," + chexpert_row(Cardiomegaly="1.0"),
    )  # fmt: skip
    text(
        root, f"{top}/valid.csv", header,
        f"{top}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,"
        + chexpert_row(No_Finding="0.0", Cardiomegaly="1.0", Edema="0.0"),
    )  # fmt: skip


def mimic(root: Path) -> None:
    root = root / "physionet.org/files/mimic-cxr-jpg/2.1.0"
    ids = ("02aa804e-bde0afdd", "174413ec-4ec4c1f7", "2a2277a9-b0ded155", "68b5c4b1-227d0485")
    files(root, f"files/p10/p10000032/s50414267/{ids[0]}.jpg", f"files/p10/p10000032/s50414267/{ids[1]}.jpg",
          f"files/p10/p10000764/s57375967/{ids[2]}.jpg", f"files/p11/p11000011/s51029426/{ids[3]}.jpg")  # fmt: skip
    text(root, "mimic-cxr-2.0.0-metadata.csv.gz",
         "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime",
         f"{ids[0]},10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531",
         f"{ids[1]},10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531",
         f"{ids[2]},10000764,57375967,CHEST (PORTABLE AP),AP,3056,2544,21321015,83847.0",
         f"{ids[3]},11000011,51029426,CHEST (PORTABLE AP),AP,3056,2544,21321015,83847.0")  # fmt: skip
    observations = ",".join(sorted(CHEXPERT.split(",")))
    text(root, "mimic-cxr-2.0.0-chexpert.csv.gz", f"subject_id,study_id,{observations}",
         "10000032,50414267," + ",".join("1.0" if name == "No Finding" else "" for name in sorted(CHEXPERT.split(","))),
         "10000764,57375967," + ",".join({"Edema": "1.0", "Pneumonia": "-1.0", "Fracture": "0.0"}.get(name, "")
                                          for name in sorted(CHEXPERT.split(","))))  # fmt: skip
    text(root, "mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study_id,subject_id,split",
         f"{ids[0]},50414267,10000032,train", f"{ids[1]},50414267,10000032,train", f"{ids[2]},57375967,10000764,test",
         f"{ids[3]},51029426,11000011,validate")  # fmt: skip


def padchest(root: Path) -> None:
    names = [f"2168401113669640128_00-063-{number:03}.png" for number in range(6)]
    files(root, *(f"{number % 2}/{name}" for number, name in enumerate(names)))
    header = (
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
        "MethodProjection,Pediatric,Modality_DICOM,Report,MethodLabel,Labels"
    )
    rows = (
        ("PA", "7", "1930.0", "F", "['normal']"),
        ("PA", "8", "1950.0", "M", "['cardiomegaly', ' pleural effusion']"),
        ("L", "8", "1950.0", "M", "['cardiomegaly', ' pleural effusion']"),
        ("AP_horizontal", "9", "1941.0", "M", "['pleural effusion']"),
        ("PA", "10", "1941.0", "M", "['exclude']"),
        ("PA", "11", "", "M", "['unchanged']"),
    )
    text(root, "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", header, *(
        f'{at},{names[at]},{at % 2},20140915,s{at},{patient},{born},{sex},POSTEROANTERIOR,{view},Manual,No,CR,'
        f'"sin hallazgos, número",Physician,"{labels}"'
        for at, (view, patient, born, sex, labels) in enumerate(rows)
    ))  # fmt: skip


def rsna(root: Path) -> None:
    files(root, *(f"stage_2_train_images/{name}.png" for name in ("0004cfab", "00313ee0", "00436515")))
    files(root, "stage_2_test_images/0000a175.png", "stage_2_test_images/0005d3cc.png")
    text(root, "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", "0004cfab,,,,,0", "00313ee0,,,,,0",
         "00436515,264.0,152.0,213.0,379.0,1", "00436515,562.0,152.0,256.0,453.0,1")  # fmt: skip
    text(root, "stage_2_detailed_class_info.csv", "patientId,class", "0004cfab,No Lung Opacity / Not Normal",
         "00313ee0,Normal", "00436515,Lung Opacity", "00436515,Lung Opacity")  # fmt: skip


def vindr(root: Path) -> None:
    files(root, "train/000434271f63.png", "train/00053190460d.png", "test/002a34c58c5b.png")
    findings = "Aortic enlargement,Cardiomegaly,Pneumothorax,Tuberculosis"
    text(
        root, "annotations/image_labels_train.csv", f"image_id,rad_id,{findings},Other diseases,No finding",
        "000434271f63,R1,0,0,0,0,0,1", "000434271f63,R2,0,0,0,0,0,1", "000434271f63,R3,0,1,0,0,0,0",
        "00053190460d,R1,1,1,0,0,0,0", "00053190460d,R2,1,1,0,0,0,0", "00053190460d,R9,1,0,0,0,1,0",
    )  # fmt: skip
    text(root, "annotations/image_labels_test.csv", f"image_id,{findings},Other disease,No finding",
         "002a34c58c5b,0,0,0,1,1,0")  # fmt: skip
    text(root, "annotations/annotations_train.csv", "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
         "00053190460d,R1,Cardiomegaly,1,2,3,4")  # fmt: skip


def vinbigdata(root: Path) -> None:
    files(root, "train/50a41819.png", "train/9a5094b2.png", "test/002a34c5.png")
    text(root, "train.csv", "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max",
         "50a41819,No finding,14,R11,,,,", "50a41819,No finding,14,R15,,,,", "50a41819,No finding,14,R10,,,,",
         "9a5094b2,Cardiomegaly,3,R8,691,1375,1653,1831", "9a5094b2,Cardiomegaly,3,R9,691,1375,1653,1831",
         "9a5094b2,Aortic enlargement,0,R9,691,1375,1653,1831", "9a5094b2,No finding,14,R7,,,,")  # fmt: skip


def siim(root: Path) -> None:
    files(
        root,
        "train/5776db0cec75/81456c9c5423/000a312787f2.png",
        "test/00188a671292/3eb5a506ccf3/3dcdfc352a06.png",
        "train/ff0879eb20ed/d8a644cc4f93/000c3a3f293f.png",
        "train/ff0879eb20ed/d8a644cc4f94/0012ff7358bc.png",
    )
    text(
        root,
        "train_image_level.csv",
        "id,boxes,label,StudyInstanceUID",
        "000a312787f2_image,\"[{'x': 789.28836, 'y': 582.43035}]\",opacity 1 789.28836 582.43035,5776db0cec75",
        "000c3a3f293f_image,,none 1 0 0 1 1,ff0879eb20ed",
        "0012ff7358bc_image,,none 1 0 0 1 1,ff0879eb20ed",
    )
    text(root, "train_study_level.csv",
         "id,Negative for Pneumonia,Typical Appearance,Indeterminate Appearance,Atypical Appearance",
         "5776db0cec75_study,0,1,0,0", "ff0879eb20ed_study,1,0,0,0")  # fmt: skip
    text(root, "sample_submission.csv", "id,PredictionString", "00188a671292_study,negative 1 0 0 1 1")


def nlm_tb(root: Path) -> None:
    files(root, "MontgomerySet/CXR_png/MCUCXR_0001_0.png", "MontgomerySet/CXR_png/MCUCXR_0104_1.png",
          "ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png", "ChinaSet_AllFiles/CXR_png/CHNCXR_0327_1.png")  # fmt: skip
    for side in ("leftMask", "rightMask"):
        files(root, f"MontgomerySet/ManualMask/{side}/MCUCXR_0001_0.png")
    text(root, "MontgomerySet/ClinicalReadings/MCUCXR_0001_0.txt", "Patient's Sex: F", "Patient's Age: 027Y", "normal")
    text(root, "ChinaSet_AllFiles/ClinicalReadings/CHNCXR_0001_0.txt", "male 45yrs", "normal")


TREES: Mapping[str, Make] = {
    "covid-radiography-3": radiography_3, "covid-radiography-4": radiography_4, "covid-radiography-5": radiography_5,
    "covid-qu-ex": qu_ex, "covidx": covidx, "ieee8023": ieee8023, "figure1": figure1, "actualmed": actualmed,
    "covid-cxnet": cxnet, "hannover": hannover, "kermany": kermany, "nih": nih, "chexpert": chexpert,
    "mimic-cxr": mimic, "padchest": padchest, "rsna-pneumonia": rsna, "vindr-cxr": vindr, "vinbigdata": vinbigdata,
    "siim-covid19": siim, "nlm-tb": nlm_tb,
}  # fmt: skip
"""By name; of one that has several versions with its number."""
