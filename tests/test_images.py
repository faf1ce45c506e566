"""Pictures that are accepted or refused."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageChops

from liveedit.correction import open_image
from liveedit.errors import MissingExtra
from tests.images import encoded, halves, noise, png, refusal, saved

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class TestAccepted:
    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    def test_path_string_bytes_and_picture_give_the_same(self, tmp_path, form):
        path = saved(tmp_path / "picture", encoded(halves((32, 16)), form))
        with Image.open(path) as opened:
            sources = [path, str(path), path.read_bytes(), opened]
            pictures = [open_image(source) for source in sources]
        assert {picture.mode for picture in pictures} == {"RGB"}
        assert {picture.size for picture in pictures} == {(32, 16)}
        assert len({picture.tobytes() for picture in pictures}) == 1
        left, _, blue = pictures[0].getpixel((4, 8))
        assert left > 240
        assert blue < 15

    @pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
    def test_lossless_pixels_are_kept(self, form, options):
        picture = noise()
        assert open_image(encoded(picture, form, **options)).tobytes() == picture.tobytes()

    def test_the_name_of_a_file_does_not_matter(self, tmp_path):
        path = saved(tmp_path / "really_a.gif", encoded(halves()))
        assert open_image(path).tobytes() == halves().tobytes()

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    def test_one_pixel(self, form):
        picture = open_image(encoded(Image.new("RGB", (1, 1), WHITE), form))
        assert picture.size == (1, 1)
        assert picture.getpixel((0, 0)) == WHITE

    def test_the_picture_is_a_copy(self):
        mine = halves()
        theirs = open_image(mine)
        mine.paste(GREEN, (0, 0, 8, 4))
        assert theirs.tobytes() == halves().tobytes()


class TestModes:
    def test_cmyk_jpeg(self, tmp_path):
        cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red ink
        path = saved(tmp_path / "print.jpg", encoded(cmyk, "JPEG", quality=95))
        with Image.open(path) as opened:
            assert opened.mode == "CMYK"
        red, green, blue = open_image(path).getpixel((8, 8))
        assert red > 245
        assert max(green, blue) < 10

    @pytest.mark.parametrize("form", ["PNG", "WEBP"])
    def test_alpha_is_composited_on_white(self, form):
        image = Image.new("RGBA", (3, 1))
        image.putdata([(255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128)])
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        picture = open_image(encoded(image, form, **options))
        assert picture.getpixel((0, 0)) == RED
        assert picture.getpixel((1, 0)) == WHITE
        assert picture.getpixel((2, 0)) == pytest.approx((127, 127, 127), abs=1)

    def test_grey_with_alpha(self):
        image = Image.new("LA", (2, 1))
        image.putdata([(10, 255), (10, 0)])
        picture = open_image(encoded(image))
        assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(10, 10, 10), WHITE]

    @pytest.mark.parametrize("transparency", [1, b"\xff\x00\x80"])
    def test_palette_with_transparency(self, transparency):
        image = Image.new("P", (3, 1))
        image.putpalette([*RED, *GREEN, *BLUE])
        image.putdata([0, 1, 2])
        picture = open_image(encoded(image, transparency=transparency))
        assert picture.getpixel((0, 0)) == RED
        assert picture.getpixel((1, 0)) == WHITE
        blue = BLUE if transparency == 1 else (127, 127, 255)
        assert picture.getpixel((2, 0)) == pytest.approx(blue, abs=1)

    def test_transparent_colour(self):
        picture = open_image(encoded(halves(), transparency=RED))
        assert picture.getpixel((0, 0)) == WHITE
        assert picture.getpixel((7, 0)) == BLUE

    def test_palette_grey_and_black_and_white(self):
        palette = halves().convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
        assert open_image(encoded(palette)).tobytes() == halves().tobytes()
        assert open_image(encoded(Image.new("L", (2, 2), 77))).getpixel((0, 0)) == (77,) * 3
        assert open_image(encoded(Image.new("1", (2, 2), 1))).getpixel((0, 0)) == WHITE

    def test_sixteen_bits_are_scaled_and_not_clipped(self, tmp_path):
        values = [0, 256, 257, 1000, 32896, 65279, 65535]
        rows = zlib.compress(b"\0" + struct.pack(">7H", *values))
        path = saved(tmp_path / "scan.png", png(7, 1, 16, 0, (b"IDAT", rows)))
        picture = open_image(path)
        assert [picture.getpixel((x, 0))[0] for x in range(7)] == [0, 1, 1, 4, 128, 254, 255]
        with Image.open(path) as opened:
            assert opened.mode.startswith("I")
            assert open_image(opened).tobytes() == picture.tobytes()

    def test_sixteen_bit_grey_with_a_transparent_level(self):
        rows = zlib.compress(b"\0" + struct.pack(">2H", 1000, 20000))
        transparent = (b"tRNS", struct.pack(">H", 1000))
        picture = open_image(png(2, 1, 16, 0, transparent, (b"IDAT", rows)))
        assert [picture.getpixel((x, 0))[0] for x in (0, 1)] == [255, 78]

    def test_sixteen_bit_colour(self):
        rows = zlib.compress(b"\0" + struct.pack(">3H", 65535, 32896, 0))
        assert open_image(png(1, 1, 16, 2, (b"IDAT", rows))).getpixel((0, 0)) == (255, 128, 0)

    def test_floating_point_pictures_are_refused(self):
        assert "8-bit RGB" in refusal(Image.new("F", (2, 2), 0.5))


class TestOrientation:
    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied_once(self, tmp_path, orientation, form):
        corners = Image.new("RGB", (64, 32), WHITE)  # all eight orientations differ
        corners.paste(RED, (0, 0, 32, 16))
        corners.paste(BLUE, (32, 0, 64, 16))
        backwards = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }
        lying = corners.transpose(backwards[orientation]) if orientation > 1 else corners
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        path = saved(tmp_path / "photo", encoded(lying, form, exif=exif, quality=95))
        upright = open_image(path)
        assert upright.size == (64, 32)
        difference = ImageChops.difference(upright, corners).crop((2, 2, 28, 12))
        assert max(high for _, high in difference.getextrema()) < 25
        assert difference.getbbox() is None or form != "PNG"
        for at, colour in [((16, 8), RED), ((48, 8), BLUE), ((16, 24), WHITE)]:
            assert upright.getpixel(at) == pytest.approx(colour, abs=25)
        assert open_image(upright).tobytes() == upright.tobytes()

    def test_metadata_stays_behind(self):
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = "of a camera"
        picture = open_image(encoded(halves(), "JPEG", exif=exif, comment=b"private"))
        assert not picture.info
        assert not picture.getexif()

    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    def test_broken_exif_does_not_spoil_the_picture(self, form):
        for block in (b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01", b"Exif\0\0nonsense", b"Exif\0\0"):
            assert open_image(encoded(halves(), form, exif=block)).size == (8, 4)


class TestRefused:
    @pytest.mark.parametrize("form", ["PNG", "WEBP"])
    def test_animated(self, tmp_path, form):
        frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
        path = saved(tmp_path / "dance", data)
        said = refusal(path)
        assert repr(str(path)) in said
        assert "several frames" in said
        with Image.open(path) as opened:
            assert "several frames" in refusal(opened)

    def test_the_further_pictures_of_a_phones_jpeg_are_no_animation(self):
        data = encoded(halves((16, 16)), "MPO", save_all=True, append_images=[noise((16, 16))])
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.format == "MPO"
            assert opened.n_frames == 2
            assert open_image(opened).getpixel((2, 8)) == pytest.approx(RED, abs=25)
        assert open_image(data).getpixel((2, 8)) == pytest.approx(RED, abs=25)

    @pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
    @pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
    def test_truncated(self, tmp_path, form, kept):
        data = encoded(noise(), form)
        path = saved(tmp_path / "half", data[: int(kept * len(data))])
        said = refusal(path)
        assert repr(str(path)) in said
        assert "damaged" in said

    def test_a_truncated_file_opened_by_the_caller(self):
        with Image.open(io.BytesIO(encoded(noise())[:5000])) as opened:
            assert "cut off" in refusal(opened)

    def test_eps_is_never_interpreted(self, tmp_path):
        path = saved(tmp_path / "drawing.png", encoded(halves(), "EPS"))
        assert "not a PNG, JPEG, WEBP, GIF, TIFF, AVIF or HEIC" in refusal(path)

    @pytest.mark.parametrize("form", ["BMP", "PPM", "ICO"])
    def test_other_formats(self, form):
        assert "not a PNG, JPEG, WEBP, GIF, TIFF, AVIF or HEIC" in refusal(
            encoded(halves((32, 32)), form)
        )

    def test_not_a_picture(self, tmp_path):
        path = saved(tmp_path / "notes.png", b"These are notes, and no picture.\n" * 10)
        said = refusal(path)
        assert repr(str(path)) in said
        assert "not a PNG, JPEG, WEBP, GIF, TIFF, AVIF or HEIC" in said

    def test_empty_file(self, tmp_path):
        assert "is empty" in refusal(saved(tmp_path / "nothing.png", b""))
        assert "is empty" in refusal(b"")

    def test_missing(self, tmp_path):
        said = refusal(tmp_path / "nowhere.png")
        assert repr(str(tmp_path / "nowhere.png")) in said
        assert "does not exist" in said

    def test_folder(self, tmp_path):
        assert "is a folder" in refusal(tmp_path)

    def test_a_file_as_if_it_were_a_folder(self, tmp_path):
        assert "cannot be read" in refusal(saved(tmp_path / "a.png", encoded(halves())) / "b.png")

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
    )
    def test_unreadable(self, tmp_path):
        path = saved(tmp_path / "secret.png", encoded(halves()))
        path.chmod(0)
        assert "permission" in refusal(path)

    def test_unreadable_whoever_runs_the_tests(self, tmp_path, monkeypatch):
        path = saved(tmp_path / "secret.png", encoded(halves()))

        def denied(*_args, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", denied)
        said = refusal(path)
        assert repr(str(path)) in said
        assert "(Permission denied)" in said

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    @pytest.mark.timeout(20)
    def test_a_pipe_does_not_block(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        assert "not a regular file" in refusal(tmp_path / "pipe.png")

    @pytest.mark.parametrize(
        "address",
        [
            "https://example.org/cat.png",
            "http://127.0.0.1/cat.png",
            " HTTPS://example.org/cat.png",
            "ftp://example.org/cat.png",
            "file:///etc/passwd",
            Path("https://example.org/cat.png"),
        ],
    )
    def test_addresses_are_never_fetched(self, address, monkeypatch):
        def asked(*_args, **_options):
            raise AssertionError("the network was asked")

        monkeypatch.setattr("socket.socket", asked)
        assert "never fetched" in refusal(address)

    def test_a_data_url_is_not_quoted_back(self):
        said = refusal("data:image/png;base64," + "iVBORw0KGgo=" * 1000)
        assert "data URL (12022 characters); decode it" in said

    def test_names_with_a_colon_are_no_addresses(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        saved(tmp_path / "cat:sleeping.png", encoded(halves()))
        assert open_image("cat:sleeping.png").size == (8, 4)

    def test_odd_paths(self):
        assert "cannot be read" in refusal("a\0b.png")
        assert "cannot be read" in refusal("a" * 100_000)
        assert "\\n" in refusal("two\nlines.png")

    def test_no_pixels(self):
        assert "no pixels" in refusal(Image.new("RGB", (0, 5)))

    def test_modes_without_a_way_to_rgb(self):
        assert "cannot be decoded" in refusal(Image.new("La", (2, 2)))

    def test_a_closed_picture(self, tmp_path):
        with Image.open(saved(tmp_path / "a.png", encoded(halves()))) as opened:
            pass
        assert "cannot be decoded" in refusal(opened)


class TestFormats:
    @pytest.mark.parametrize("form", ["GIF", "TIFF", "AVIF"])
    def test_further_formats(self, form):
        assert open_image(encoded(halves((64, 32)), form)).size == (64, 32)

    @pytest.mark.parametrize("form", ["GIF", "TIFF"])
    def test_of_several_frames_the_first_is_meant(self, form):
        frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert open_image(data).getpixel((8, 8)) == RED

    def test_heic(self):
        heif = pytest.importorskip("pillow_heif")
        written = io.BytesIO()
        heif.from_pillow(halves((64, 64))).save(written, quality=95)
        picture = open_image(written.getvalue())
        assert (picture.size, picture.mode) == ((64, 64), "RGB")
        red, _, blue = picture.getpixel((8, 8))
        assert red > 200 > 50 > blue

    def test_heic_without_its_library_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
        with pytest.raises(MissingExtra, match=r"liveedit-vlm\[heic\]"):
            open_image(b"\0\0\0\x18ftypheic" + bytes(64))


class TestArrays:
    @pytest.mark.parametrize("kind", ["array", "tensor"])
    def test_every_layout_is_the_same_picture(self, kind):
        import numpy as np
        import torch

        picture = halves((6, 4))
        colour = np.asarray(picture)
        make = np.asarray if kind == "array" else (lambda given: torch.tensor(np.array(given)))
        for given in (colour, colour.transpose(2, 0, 1), colour / 255, colour.astype("int64")):
            found = open_image(make(given))
            assert found.tobytes() == picture.tobytes()
        grey = open_image(make(np.full((5, 7), 128, dtype=np.uint8)))
        assert (grey.size, grey.getpixel((0, 0))) == ((7, 5), (128, 128, 128))
        alpha = np.zeros((4, 6, 4), dtype=np.uint8)
        assert open_image(make(alpha)).getpixel((0, 0)) == WHITE
        if kind == "tensor":
            half = torch.tensor(np.array(colour / 255)).bfloat16()
            assert open_image(half).size == (6, 4)

    @pytest.mark.parametrize(
        ("shape", "fill", "said"),
        [
            ((5,), 0, "is no picture"),
            ((2, 5, 5), 0, "is no picture"),
            ((0, 4, 3), 0, "is no picture"),
            ((4, 4, 3), 300, "from 0 to 255"),
            ((4, 4, 3), -1, "from 0 to 255"),
            ((4, 4, 3), 1.5, "from 0 to 1"),
            ((4, 4, 3), float("nan"), "from 0 to 1"),
            ((4, 4), True, "from 0 to 255"),
        ],
    )
    def test_other_numbers_are_no_picture(self, shape, fill, said):
        import numpy as np

        assert said in refusal(np.full(shape, fill))

    def test_other_things_are_no_picture(self):
        """In a process of its own, where nothing checks what annotations say."""
        code = "from liveedit.correction import open_image; open_image(5)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "BadImage: a picture cannot be made of int; give a path" in done.stderr
