"""How large a picture may be, and that libraries' warnings stay inside."""

import io
import struct
import threading
import time
import warnings
import zlib

import pytest
from PIL import Image, PngImagePlugin

from liveedit.correction import images, open_image
from tests.images import encoded, halves, noise, png, refusal, saved

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class TestLimits:
    @pytest.mark.parametrize(
        "size", [(8000, 5001), (9000, 9000), (12_000, 12_000), (60_000, 60_000), (2**31 - 1,) * 2]
    )
    def test_a_small_png_that_claims_to_be_huge(self, tmp_path, monkeypatch, size):
        data = png(*size, 8, 2, (b"IDAT", zlib.compress(b"\0" * 1000)))
        assert len(data) < 10_000
        path = saved(tmp_path / "bomb.png", data)

        def decoded(_self):
            raise AssertionError("pixels were decoded")

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decoded)
        said = refusal(path)
        assert repr(str(path)) in said
        assert "more than 40 million pixels" in said

    def test_the_pixel_limit_is_exact(self, monkeypatch):
        monkeypatch.setattr(images, "MAX_PIXELS", 32)
        assert open_image(encoded(halves((8, 4)))).size == (8, 4)
        for form in ("PNG", "WEBP"):
            assert "pixels" in refusal(encoded(halves((11, 3)), form))
        assert "pixels" in refusal(halves((11, 3)))

    def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(self, monkeypatch):
        """48 and 108 megapixels are what phones take."""
        for size, expected in (((8000, 6000), (4000, 3000)), ((12000, 9000), (6000, 4500))):
            data = encoded(halves(size), "JPEG", quality=30)
            assert open_image(data).size == expected
        monkeypatch.setattr(images, "MAX_JPEG_PIXELS", 10**6)
        assert "more than 1 million pixels" in refusal(encoded(halves((1200, 1000)), "JPEG"))

    def test_the_limit_holds_where_pillow_has_none(self, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        data = png(60_000, 60_000, 8, 2, (b"IDAT", zlib.compress(b"\0")))
        assert "more than 40 million pixels" in refusal(data)

    def test_the_file_limit_is_exact(self, tmp_path, monkeypatch):
        data = encoded(halves())
        path = saved(tmp_path / "a.png", data)
        monkeypatch.setattr(images, "MAX_FILE_BYTES", len(data))
        assert open_image(path).size == open_image(data).size == (8, 4)
        monkeypatch.setattr(images, "MAX_FILE_BYTES", len(data) - 1)
        assert "larger than" in refusal(path)
        assert "larger than" in refusal(data)

    def test_no_more_of_a_large_file_is_read_than_the_limit(self, tmp_path):
        path = tmp_path / "sparse.png"
        with path.open("wb") as file:
            file.truncate(10**12)
        assert "larger than 50 MB" in refusal(path)

    def test_a_progressive_jpeg_of_endless_scans(self):
        data = encoded(noise(), "JPEG", progressive=True)
        assert open_image(data).size == (64, 64)
        last = data.rindex(b"\xff\xda")
        bomb = data[:last] + data[last:-2] * images.MAX_JPEG_SCANS + data[-2:]
        assert Image.open(io.BytesIO(bomb)).convert("RGB").size == (64, 64)  # Pillow takes it
        assert "scans" in refusal(bomb)

    def test_a_text_chunk_that_unpacks_to_100_mb(self):
        text = b"Comment\0\0" + zlib.compress(b"\0" * 100_000_000)
        rows = (b"IDAT", zlib.compress(b"\0" * 4))
        said = refusal(png(1, 1, 8, 2, (b"zTXt", text), rows))
        assert "cannot be decoded" in said


class TestWarnings:
    """Warnings are errors in this module; each of these files makes Pillow warn."""

    def test_of_bombs(self):
        data = png(9500, 9500, 8, 2, (b"IDAT", zlib.compress(b"\0")))
        with pytest.raises(Image.DecompressionBombWarning):
            Image.open(io.BytesIO(data))
        assert "more than 40 million pixels" in refusal(data)

    def test_of_animations(self):
        rows = (b"IDAT", zlib.compress(b"\0\x01\x02\x03"))
        data = png(1, 1, 8, 2, (b"acTL", struct.pack(">II", 0, 0)), rows)
        with pytest.raises(UserWarning, match="APNG"):
            Image.open(io.BytesIO(data))
        assert open_image(data).getpixel((0, 0)) == (1, 2, 3)

    def test_filters_are_left_as_they_were(self):
        before = list(warnings.filters)
        open_image(encoded(halves()))
        refusal(b"nothing")
        assert warnings.filters == before

    def test_from_threads_that_overlap(self, monkeypatch):
        data = png(9500, 9500, 8, 2, (b"IDAT", zlib.compress(b"\0")))
        pillow, before, said = Image.open, list(warnings.filters), []

        def slowly(*args, **options):
            time.sleep(0.05)
            return pillow(*args, **options)

        def work(number):
            time.sleep(0.02 * number)  # one begins while the other is busy, and ends after it
            try:
                open_image(data)
            except Exception as error:
                said.append(str(error))

        monkeypatch.setattr(Image, "open", slowly)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == ["the picture has more than 40 million pixels; make it smaller"] * 3
        assert warnings.filters == before
