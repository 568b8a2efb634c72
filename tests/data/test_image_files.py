import numpy as np
import pytest
from PIL import Image

from dynmix_tf.data.image_files import ImageFiles, decode, in_threads
from dynmix_tf.errors import InputError


@pytest.fixture
def files(photo_crops, tmp_path):
    paths = []
    for index, image in enumerate(photo_crops(90, 5)):
        paths.append(str(tmp_path / f"{index}.png"))
        Image.fromarray(image[: 70 + index]).save(paths[-1])
    return ImageFiles(np.array(paths), 32, resize_to=40)


def test_passes_for_an_array(files):
    images = np.asarray(files)
    assert files.shape == images.shape == (5, 32, 32, 3)
    assert (files.ndim, files.size, files.dtype) == (images.ndim, images.size, images.dtype)
    assert len(files) == 5
    for index in (slice(1, 4), np.array([4, 0]), np.array([True, False, False, True, False])):
        np.testing.assert_array_equal(np.asarray(files[index]), images[index])
    assert np.asarray(files, np.float32).dtype == np.float32


def test_resizes_the_shorter_side_and_takes_the_centre(files):
    with Image.open(files.paths[0]) as file:
        resized = np.asarray(file.resize((51, 40), Image.Resampling.BILINEAR))  # 90 x 70
    np.testing.assert_array_equal(np.asarray(files)[0], resized[4:36, 9:41])


def test_an_image_of_the_size_stays_as_it_is(photo_crops, tmp_path):
    image = photo_crops(32, 1)[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png", 32, 32), image)


def test_the_usual_size_is_256_for_224(photo_crops, tmp_path):
    Image.fromarray(photo_crops(256, 1)[0]).save(tmp_path / "a.png")
    image = np.asarray(ImageFiles(np.array([str(tmp_path / "a.png")]), 224))[0]
    np.testing.assert_array_equal(image, photo_crops(256, 1)[0][16:240, 16:240])


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA", "1"])
def test_every_colour_mode_becomes_rgb(photo_crops, tmp_path, mode):
    image = Image.fromarray(photo_crops(32, 1)[0]).convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    got = decode(path, 32, 32)
    assert got.shape == (32, 32, 3) and got.dtype == np.uint8
    near = np.abs(got.astype(int) - np.asarray(image.convert("RGB"))).mean()
    assert near < (8 if mode == "CMYK" else 1e-9)


def test_what_is_no_image(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(InputError, match=r"cannot decode '\S+a\.jpg': no image"):
        decode(tmp_path / "a.jpg", 32, 32)
    with pytest.raises(InputError, match="cannot decode an image"):
        decode(b"text", 32, 32)
    with pytest.raises(InputError, match="cannot decode"):
        decode(tmp_path / "absent.jpg", 32, 32)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    Image.new("1", (3000, 3000)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    with pytest.raises(InputError, match="cannot decode"):
        decode(tmp_path / "a.png", 32, 32)


def test_threads_keep_the_order():
    assert list(in_threads(lambda number: number * 2, iter(range(200)))) == list(range(0, 400, 2))
