"""Pictures are real files, made on the fly; what is refused must be refused in one sentence."""

import hashlib
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError

import pytest
from PIL import Image, ImageCms

from liveedit.correction import Correction, checked_text, image_identity, open_image
from liveedit.errors import BadImage, BadText, EmptyText, LiveEditError, TextTooLong
from tests.images import encoded, halves, noise, saved

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # what an earlier test left to the garbage collector is not this one's
        warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)
        yield


class TestText:
    def test_white_space_around_is_dropped(self):
        assert checked_text("\n  What is \t this?\u00a0\r\n", "prompt") == "What is \t this?"

    @pytest.mark.parametrize(
        "text", ["שלום, מה זה?", "👩‍🚀🐈", "<image> is literal here", "a\u202eb"]
    )
    def test_any_script(self, text):
        assert checked_text(text, "target") == text

    @pytest.mark.parametrize("what", ["prompt", "target"])
    @pytest.mark.parametrize("text", ["", " ", "\n\t \u2003"])
    def test_empty(self, text, what):
        with pytest.raises(EmptyText, match=f"the {what} is empty"):
            checked_text(text, what)

    @pytest.mark.parametrize(("what", "limit"), [("prompt", 4000), ("target", 8000)])
    def test_length(self, what, limit):
        assert checked_text(" " + "é" * limit + " ", what) == "é" * limit
        with pytest.raises(TextTooLong, match=f"the {what} has {limit + 1} characters.*{limit} or"):
            checked_text("é" * (limit + 1), what)

    @pytest.mark.parametrize("text", ["a\0b", "\0", "ends\0 "])
    def test_nul(self, text):
        with pytest.raises(BadText, match="the prompt holds a NUL character"):
            checked_text(text, "prompt")

    def test_surrogates(self):
        with pytest.raises(BadText, match="the target holds half a surrogate pair"):
            checked_text("\ud83d", "target")


class TestIdentity:
    def test_is_the_same_for_ever(self):
        stated = hashlib.sha256(b"RGB(2, 1)" + b"\xff\0\0" * 2).hexdigest()
        assert image_identity(Image.new("RGB", (2, 1), RED)) == stated

    def test_depends_on_pixels_size_and_mode(self):
        pictures = [
            Image.new("RGB", (4, 1), 0),
            Image.new("RGB", (1, 4), 0),
            Image.new("RGB", (4, 1), (0, 0, 1)),
            Image.new("L", (12, 1), 0),
            Image.new("L", (4, 1), 0),
        ]
        assert len({image_identity(picture) for picture in pictures}) == len(pictures)

    def test_depends_on_the_palette(self):
        pictures = []
        for colour in (RED, BLUE):
            pictures.append(Image.new("P", (2, 2)))
            pictures[-1].putpalette(colour)
        assert len({image_identity(picture) for picture in pictures}) == 2

    def test_does_not_depend_on_file_format_or_metadata(self, tmp_path):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        with_profile = saved(
            tmp_path / "a.png", encoded(noise(), icc_profile=profile, dpi=(72, 72))
        )
        lossless = saved(tmp_path / "b.webp", encoded(noise(), "WEBP", lossless=True))
        identities = {image_identity(open_image(source)) for source in (with_profile, lossless)}
        assert identities == {image_identity(noise())}


class TestCorrection:
    def test_checked(self, tmp_path):
        path = saved(tmp_path / "a.png", encoded(halves()))
        stated = Correction.checked(path, " What is this? ", "a flag\n")
        assert (stated.prompt, stated.target) == ("What is this?", "a flag")
        assert stated.image.tobytes() == halves().tobytes()
        assert stated == Correction.checked(halves(), "What is this?", "a flag")

    def test_without_a_picture(self):
        stated = Correction.checked(None, " What is this? ", "a flag\n")
        assert stated == Correction(image=None, prompt="What is this?", target="a flag")
        with pytest.raises(EmptyText):
            Correction.checked(None, "What is this?", " ")

    @pytest.mark.parametrize(
        ("prompt", "target", "error"),
        [
            ("  ", "a flag", EmptyText),
            ("What?", "", EmptyText),
            ("x" * 4001, "a flag", TextTooLong),
            ("What?", "x" * 8001, TextTooLong),
            ("What\0?", "a flag", BadText),
            ("What?", "a flag", BadImage),
        ],
    )
    def test_refused(self, tmp_path, prompt, target, error):
        assert issubclass(error, LiveEditError)
        with pytest.raises(error):
            Correction.checked(tmp_path / "missing.png", prompt, target)

    def test_frozen_and_keyword_only(self):
        stated = Correction.checked(halves(), "What is this?", "a flag")
        with pytest.raises(FrozenInstanceError):
            stated.prompt = "Another?"
        with pytest.raises(TypeError):
            Correction(halves(), "What is this?", "a flag")

    def test_torch_is_not_loaded(self):
        code = "import sys, liveedit.correction; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
