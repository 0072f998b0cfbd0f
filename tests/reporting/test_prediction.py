from __future__ import annotations

from cxrfeat.reporting.prediction import prediction_table


def test_an_image_unlike_the_others_is_marked() -> None:
    one = {"image": "a.png", "label": "COVID", "probabilities": {"COVID": 0.9, "NORMAL": 0.1}}
    document = {
        "run": "r",
        "random_weights": True,
        "predictions": [{**one, "out_of_distribution": True}, {**one, "out_of_distribution": False}],
    }
    made = prediction_table(document)
    assert made.rows[0] == ("a.png", "COVID", "0.900", "0.100", "unlike the training images")
    assert made.rows[1][-1] == ""
    assert "RANDOM WEIGHTS" in made.title
