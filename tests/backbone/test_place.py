from __future__ import annotations

from cxrfeat.backbone.build import bare_body
from cxrfeat.backbone.place import Place, places_of
from cxrfeat.backbone.quiet import import_keras


def test_places_say_what_keras_says_of_its_weights() -> None:
    keras = import_keras()
    layers = keras.layers
    image = keras.Input((8, 8, 4))
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(2, 1, use_bias=False, name="inside")], name="inner")
    maps = layers.SeparableConv2D(6, 3, name="separable", pointwise_initializer="he_normal")(inner(image))
    maps = layers.BatchNormalization(scale=False, name="bn")(layers.Activation("relu", name="active")(maps))
    maps = layers.DepthwiseConv2D(3, name="depthwise", use_bias=False)(layers.BatchNormalization(name="again")(maps))
    body = keras.Model(image, maps)
    glorot = "variance_scaling 1 fan_avg uniform"
    assert [place for place, _ in places_of(body)] == [
        Place("inside/kernel", "layers/sequential/layers/conv2d/vars/0", (1, 1, 4, 2), glorot),
        Place("separable/depthwise_kernel", "layers/separable_conv2d/vars/0", (3, 3, 2, 1), glorot),
        Place("separable/pointwise_kernel", "layers/separable_conv2d/vars/1", (1, 1, 2, 6),
              "variance_scaling 2 fan_in truncated_normal"),
        Place("separable/bias", "layers/separable_conv2d/vars/2", (6,), "zeros"),
        Place("bn/beta", "layers/batch_normalization/vars/0", (6,), "zeros"),
        Place("bn/moving_mean", "layers/batch_normalization/vars/1", (6,), "zeros"),
        Place("bn/moving_variance", "layers/batch_normalization/vars/2", (6,), "ones"),
        Place("again/gamma", "layers/batch_normalization_1/vars/0", (6,), "ones"),
        Place("again/beta", "layers/batch_normalization_1/vars/1", (6,), "zeros"),
        Place("again/moving_mean", "layers/batch_normalization_1/vars/2", (6,), "zeros"),
        Place("again/moving_variance", "layers/batch_normalization_1/vars/3", (6,), "ones"),
        Place("depthwise/kernel", "layers/depthwise_conv2d/vars/0", (3, 3, 6, 1), glorot),
    ]  # fmt: skip
    assert [tuple(variable.shape) for _, variable in places_of(body)] == [place.shape for place, _ in places_of(body)]


def test_every_weight_of_a_network_has_a_place_of_its_own() -> None:
    body = bare_body(import_keras(), "vgg16", 32)
    found = places_of(body)
    assert [id(variable) for _, variable in found] == [id(one) for one in body.weights]
    assert len({place.name for place, _ in found}) == len({place.kept for place, _ in found}) == len(found) == 26
    assert sum(place.size for place, _ in found) == body.count_params()
    assert len({place.layer for place, _ in found}) == 13
