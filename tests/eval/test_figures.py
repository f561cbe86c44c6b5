"""The figures' tables against numbers computed here, pictures seen as they are, and files whole or not at all."""

import math
import zlib
from dataclasses import replace
from inspect import signature

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DDIMScheduler

from difface import DifFacePipeline, FaceEstimator, build_scheduler, images, masks, profiles
from difface.constraints import Masked
from difface.metrics import PSNR
from difface.models.estimator import LAMA_256
from difface.weights import WeightMissing
from eval.figures import FIGURES, Faces, default_faces, read_faces, save, write_levels
from eval.figures import draw as draw_module
from eval.figures import faces as faces_module
from eval.figures.severity import levels
from eval.figures.sheet import Sheet
from eval.figures.style import DPI
from eval.metrics import METRICS
from eval.run import Runner

QUICK = {
    "3": dict(starts=(60, 100), metrics=["PSNR", "SSIM"]),
    "4": {},
    "5": dict(steps=20),
    "6": dict(starts=(60, 100), shown=2, metrics=["PSNR"]),
    "7a": dict(starts=(60, 100), metrics=["PSNR", "SSIM"]),
    "7b": dict(steps=10, metrics=["PSNR"]),
    "8": dict(steps=20, metrics=["PSNR"]),
    "9": dict(steps=20, metrics=["PSNR"]),
    "10": dict(steps=20),
    "11": dict(steps=20, metrics=["PSNR"]),
    "12": dict(steps=10, metrics=["PSNR"]),
    "13": dict(steps=10, gammas=(0, 0.5)),
    "14": dict(steps=20, metrics=["PSNR"]),
    "15": dict(steps=20, metrics=["PSNR"]),
    "17": dict(steps=20, answers=3, metrics=["PSNR"]),
}
ROWS = {
    **{"3": 4, "4": 1000, "5": 2, "6": 12, "7a": 3, "7b": 20, "8": 10, "9": 8, "10": 8, "11": 8},
    **{"12": 16, "13": 4, "14": 16, "15": 8, "17": 6},
}
BETAS = np.linspace(1e-4, 0.02, 1000)
ABAR = np.cumprod(1 - BETAS)


@pytest.fixture
def make(small, monkeypatch):
    """The random networks of 16 pixels, whatever the profile; "lama" fills holes."""
    able = replace(profiles.PROFILES["tiny"], inpainting={"lama": profiles.PROFILES["tiny"].estimators["srcnn"]})
    monkeypatch.setitem(profiles.PROFILES, "tiny", able)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        lama = FaceEstimator("lama", LAMA_256 | {"ngf": 4, "n_downsampling": 2, "n_blocks": 1}).eval()
    return lambda profile, estimator, scheduler: DifFacePipeline(
        small.unet, build_scheduler(scheduler), lama if estimator == "lama" else small.estimator
    )


@pytest.fixture
def runner(make, tmp_path) -> Runner:
    """Keeps what these networks make."""
    return Runner(tmp_path / "work", "cpu", make=make)


@pytest.fixture
def two() -> Faces:
    generator = torch.Generator().manual_seed(0)
    hq, lq = ((255 * torch.rand(2, 3, 16, 16, generator=generator)).round() / 255 for _ in range(2))
    return Faces(("a", "b"), hq, lq)


def psnr(x: np.ndarray, y: np.ndarray) -> float:
    return 10 * math.log10(1 / np.mean((np.asarray(x, float) - np.asarray(y, float)) ** 2))


def written(x: torch.Tensor) -> torch.Tensor:
    """As a PNG holds it."""
    return (255 * x.clamp(0, 1)).round() / 255


def seeded(name: str, k: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode()) + k)


@torch.inference_mode()
def errors(small, faces) -> np.ndarray:
    return 2 * (faces.hq - small.estimator(faces.lq)).double().numpy()


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_whole(name, runner, two):
    before = dict(matplotlib.rcParams)
    figure, table = FIGURES[name](two, runner, "tiny", **QUICK[name])
    assert len(table) == ROWS[name] and not table.isna().any(axis=None)
    assert all(axes.images or axes.lines or axes.patches or axes.collections for axes in figure.axes)
    figure.draw_without_rendering()
    inked, edge = figure.get_tightbbox(), figure.get_size_inches()  # in inches
    assert (
        min(inked.x0, inked.y0) >= -0.01 and inked.x1 <= edge[0] + 0.01 and inked.y1 <= edge[1] + 0.01
    )  # no text is cut
    assert edge[0] <= 7.17
    assert dict(matplotlib.rcParams) == before


def test_figure_4_is_the_closed_form(small, runner, two):
    _, table = FIGURES["4"](two, runner)
    squared = (errors(small, two) ** 2).sum((1, 2, 3))
    assert np.allclose(table.alphas_cumprod, ABAR, rtol=1e-3)
    assert np.allclose(table.factor, np.sqrt(ABAR), rtol=1e-3)
    assert np.allclose(table.kappa, ABAR / (1 - ABAR), rtol=2e-3)  # the scheduler's betas are float32
    for column, value in (("kl_mean", squared.mean()), ("kl_min", squared.min()), ("kl_max", squared.max())):
        assert np.allclose(table[column], ABAR / (1 - ABAR) / 2 * value, rtol=2e-3)


@pytest.mark.parametrize("missing", ["truth", "weights"])
def test_figure_4_without_an_error_says_so(missing, make, two, tmp_path):
    def nothing(*arguments):
        raise WeightMissing("net.pth (a net) is missing: looked here and there")

    faces = two if missing == "weights" else Faces(two.names, None, two.lq)
    figure, table = FIGURES["4"](faces, Runner(tmp_path, "cpu", make=nothing if missing == "weights" else make))
    assert table.kl_mean.isna().all() and np.allclose(table.factor**2, table.alphas_cumprod)
    words = " ".join(figure.axes[2].texts[0].get_text().split())
    assert words.startswith("n/a: ") and ("net.pth (a net) is missing" in words or "truth" in words)


def test_figure_3_is_eq_10(small, runner, two):
    _, table = FIGURES["3"](two, runner, starts=(60,), steps=50)
    scheduler = DDIMScheduler(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", set_alpha_to_one=True)
    scheduler.set_timesteps(50)
    for k, name in enumerate(two.names):
        generator = seeded(name)
        x = math.sqrt(ABAR[40]) * (2 * two.hq[k] - 1)
        x = (x + math.sqrt(1 - ABAR[40]) * torch.randn(3, 16, 16, generator=generator))[None].float()
        for t in (40, 20, 0):
            with torch.inference_mode():
                eps = small.unet(x, t).sample[:, :3]
            x = scheduler.step(eps, t, x, eta=0.5, generator=generator).prev_sample
        row = table.iloc[k]
        assert (row.face, row.N, row.timestep, row.calls) == (name, 60, 40, 3)
        assert abs(row.signal - math.sqrt(ABAR[40])) < 1e-5 and abs(row.noise - math.sqrt(1 - ABAR[40])) < 1e-5
        assert abs(row.PSNR - psnr(written(x[0] / 2 + 0.5), two.hq[k])) < 1e-3


def test_figure_5_is_eq_12_and_13(small, runner, two):
    _, table = FIGURES["5"](two, runner, begin_index=400, steps=250, shown=1)
    norms = np.sqrt((errors(small, two) ** 2).sum((1, 2, 3)))
    assert (table.timestep == 396).all() and (table.N == 400).all()
    assert np.allclose(table.error, norms, rtol=1e-5)
    assert np.allclose(table.factor, math.sqrt(ABAR[396]), rtol=1e-4)
    assert np.allclose(table.contracted, math.sqrt(ABAR[396]) * norms, rtol=1e-4)
    assert np.allclose(table.kl, ABAR[396] / (1 - ABAR[396]) / 2 * norms**2, rtol=1e-3)


def test_figure_7a_starts_from_the_estimate(small, runner, two):
    _, table = FIGURES["7a"](two, runner, starts=(100,), metrics=["PSNR"])
    estimate = two.hq.numpy() - errors(small, two) / 2
    assert list(table.N) == [0, 100] and list(table.calls) == [0, 5]
    assert abs(table.PSNR[0] - np.mean([psnr(estimate[k], two.hq[k]) for k in range(2)])) < 1e-3


def test_a_set_metric_is_the_library_s_own(make, two, tmp_path):
    """The distance to the reference that is given, the truth where there is none."""
    reference = (two.hq.flip(0, -1) * 0.5 * 255).round() / 255
    for k, face in enumerate(reference):
        images.write(images.to_pil(face), tmp_path / "real" / f"{k}.png")
    level = levels(two)[4]
    with torch.inference_mode():
        estimates = (make("tiny", None, "ddim").estimator(level.lq) * 255).round() / 255  # as they are written
    for given, real in ((None, two.hq), (tmp_path / "real", reference)):
        runner = Runner(tmp_path / "work", "cpu", reference=given, make=make)
        _, table = FIGURES["7b"](two, runner, metrics=["FD-prior"], steps=10)
        own = METRICS["FD-prior"]()
        own.update(real, real=True)
        own.update(estimates)
        measured = table[(table.s == 4) & (table.method == "f(y) alone")]["FD-prior"].item()
        assert measured == pytest.approx(own.compute(), rel=1e-4)


def test_figure_7b_has_a_panel_for_lpips_that_says_what_it_lacks(runner, two, tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFACE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("DIFFACE_CACHE", str(tmp_path))
    figure, table = FIGURES["7b"](two, runner, steps=10)
    words = [" ".join(text.get_text().split()) for axes in figure.axes for text in axes.texts]
    assert table.LPIPS.isna().all() and any("LPIPS: needs vgg16-397923af.pth" in text for text in words)
    assert table.PSNR.notna().all()


def test_figure_7b_draws_lines_from_folders(runner, two, tmp_path):
    write_levels(two, tmp_path)
    (tmp_path / "s_8").rename(tmp_path / "elsewhere")
    figure, table = FIGURES["7b"](two, runner, metrics=["PSNR"], steps=10, others={"copy": tmp_path})
    line = table[table.method == "copy"].set_index("s").PSNR
    assert list(line.index) == [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7]  # a level that is not there is a gap
    for s, value in line.items():
        copies = [images.to_tensors(images.read(tmp_path / f"s_{s:g}" / f"{name}.png"))[0] for name in two.names]
        assert abs(value - np.mean([psnr(copies[k], two.hq[k]) for k in range(2)])) < 1e-6
    assert line[1] > line[7]
    assert [text.get_text() for text in figure.axes[0].get_legend().texts][-1] == "copy"

    (tmp_path / "s_3" / "b.png").unlink()
    (tmp_path / "empty").mkdir()
    for folder, said in ((tmp_path, "no picture of b"), (tmp_path / "empty", "of 'copy' has no level; s_1, s_2")):
        with pytest.raises(ValueError, match=said):  # before a network is loaded
            FIGURES["7b"](
                two,
                Runner(tmp_path / "none", make=lambda *_: pytest.fail("loaded")),
                metrics=["PSNR"],
                steps=10,
                others={"copy": folder},
            )


@pytest.mark.parametrize("name", [name for name in FIGURES if "begin_index" in signature(FIGURES[name]).parameters])
def test_a_start_of_zero_is_refused_and_not_replaced(name, runner, two):
    with pytest.raises(ValueError, match="got 0"):
        FIGURES[name](two, runner, "tiny", begin_index=0, steps=10)


def test_figure_9_takes_folders_and_10_needs_no_truth(runner, two, tmp_path):
    for name, face in zip(two.names, two.hq, strict=True):
        images.write(images.to_pil((face + 51 / 255).clamp(0, 1)), tmp_path / f"{name}.png")
    bright = (two.hq + 0.2).clamp(0, 1)
    _, table = FIGURES["9"](two, runner, steps=20, others={"bright": tmp_path}, metrics=["PSNR"])
    for k, value in enumerate(table[table.method == "bright"].PSNR):
        assert abs(value - psnr(bright[k], two.hq[k])) < 1e-3
    _, table = FIGURES["10"](Faces(two.names, None, two.hq), runner, steps=20, others={"bright": tmp_path})
    rms = (bright - two.hq).square().mean((1, 2, 3)).sqrt()
    assert np.allclose(table[table.method == "bright"]["RMS to y"], rms, atol=1e-4)
    with pytest.raises(ValueError, match="truth"):
        FIGURES["9"](Faces(two.names, None, two.lq), runner)


def test_figure_11_spread(small, runner, two):
    _, table = FIGURES["11"](two, runner, answers=3, begin_index=250, steps=20, metrics=["PSNR"])
    small.set_begin_index(250)
    for k, name in enumerate(two.names):
        seeds = [seeded(name, j) for j in range(3)]
        each = [small(two.lq[k][None], 20, generator=[seed], output_type="pt").images[0].double() for seed in seeds]
        rows = table[table.face == name]
        assert np.allclose(rows.spread, np.std(np.stack(each), axis=0, ddof=1).mean(), atol=1e-4)
        assert np.allclose(rows.PSNR, [psnr(one, two.hq[k]) for one in each], atol=1e-2)
    with pytest.raises(ValueError, match="`answers`"):
        FIGURES["11"](two, runner, answers=1)


def test_a_figure_that_is_drawn_again_restores_nothing(runner, two):
    _, first = FIGURES["9"](two, runner, steps=20, metrics=["PSNR"])
    runner.make = lambda *_: pytest.fail("loaded")
    _, again = FIGURES["9"](two, runner, steps=20, metrics=["PSNR"])
    pd.testing.assert_frame_equal(first, again)


class Unweighted(PSNR):
    """A metric whose weights are nowhere."""

    name = "unweighted"

    def score(self, restored, truth):
        raise WeightMissing("net.onnx (a net) is missing: looked in vain")


def test_a_metric_without_weights_leaves_a_note(runner, two, monkeypatch):
    monkeypatch.setitem(METRICS, "unweighted", Unweighted)
    options = dict(metrics=["unweighted", "PSNR"], starts=(60, 100))
    figure, table = FIGURES["7a"](two, runner, **options)
    assert table.unweighted.isna().all() and table.PSNR.notna().all()
    assert "n/a: unweighted: net.onnx" in " ".join(figure.axes[0].texts[0].get_text().split())
    assert figure.axes[1].lines
    _, table = FIGURES["7a"](two, runner, metrics=["PSNR", "FID-F"], starts=(60, 100))
    assert table["FID-F"].isna().all()  # the truth is no stand-in for its reference
    with pytest.raises(ValueError, match="'nonsense' is unknown"):
        FIGURES["7a"](two, runner, metrics=["nonsense"])


def test_an_estimator_without_weights_leaves_a_row(make, two, tmp_path):
    def half(profile, estimator, scheduler):
        if estimator == "srcnn":
            raise WeightMissing("net.pth is missing: looked in vain")
        return make(profile, estimator, scheduler)

    figure, table = FIGURES["6"](two, Runner(tmp_path, "cpu", make=half), starts=(100,))
    assert set(table.estimator) == {"swinir"}
    assert any("n/a: net.pth" in " ".join(text.get_text().split()) for axes in figure.axes for text in axes.texts)


def test_pixels_are_seen_as_they_are(tmp_path):
    picture = torch.randint(0, 256, (3, 16, 16), generator=torch.Generator().manual_seed(0)) / 255
    sheet = Sheet(1, 4, 16)
    sheet.picture(0, 2, picture)
    sheet.figure.savefig(tmp_path / "sheet.png", dpi=DPI)
    shown = images.to_tensors(images.read(tmp_path / "sheet.png"))[0]
    factor = sheet.cell // 16
    assert sheet.cell == 16 * factor > 200
    rows = (shown < 1).any(0).any(1).nonzero()
    top, left = rows[0].item(), (shown < 1).any(0).any(0).nonzero()[0].item()
    large = picture.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    assert torch.equal(shown[:, top : top + sheet.cell, left : left + sheet.cell], large)


def test_save_is_whole_or_not(runner, two, tmp_path, monkeypatch):
    figure, table = FIGURES["4"](two, runner)
    paths = save(figure, table, tmp_path / "whole", "figure_4")
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == sorted(path.name for path in paths)
    assert paths[0].read_bytes().startswith(b"%PDF") and images.read(paths[1]).width <= 7.16 * 200
    assert np.allclose(pd.read_csv(paths[2]).factor, table.factor, rtol=1e-5)

    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(figure, table, tmp_path / "broken", "figure_4")
    assert not list((tmp_path / "broken").iterdir())


def test_faces_from_folders(two, tmp_path):
    for folder, batch in (("hq", two.hq), ("lq", two.lq)):
        for name, face in zip(two.names, batch, strict=True):
            images.write(images.to_pil(face), tmp_path / folder / f"{name}.png")
    pairs = read_faces(16, tmp_path / "hq", tmp_path / "lq")
    assert pairs.names == two.names and torch.equal(pairs.hq, two.hq) and torch.equal(pairs.lq, two.lq)
    assert read_faces(16, lq=tmp_path / "lq", limit=1).hq is None
    degraded = read_faces(16, tmp_path / "hq")
    assert torch.equal(degraded.hq, two.hq) and (degraded.lq - two.hq).abs().mean() > 0.1
    with pytest.raises(ValueError, match="neither"):
        read_faces(16)
    with pytest.raises(ValueError, match="`lq` must be"):
        Faces(("a",), None, two.lq)


def test_default_faces_and_their_size(runner, two, monkeypatch):
    clean = {"astronaut": torch.rand(3, 64, 64), "sample_0": torch.rand(3, 64, 64)}
    monkeypatch.setattr(faces_module, "clean_faces", lambda seeds, profile: clean)
    faces = default_faces(2)
    assert faces.names == ("astronaut", "sample_0") and not torch.equal(faces.lq, faces.hq)
    assert torch.equal(faces.lq, default_faces(2).lq)
    with pytest.raises(ValueError, match="works at 16 pixels"):
        FIGURES["8"](faces, runner)
    with pytest.raises(ValueError, match="`count`"):
        default_faces(1)


def test_figure_12_fills_the_holes_of_the_test_sets(runner, two, tmp_path):
    kinds = list(masks.MASKS)
    for kind in kinds:
        for name, face in zip(two.names, two.hq, strict=True):
            images.write(images.to_pil(0.5 * face), tmp_path / kind / f"{name}.png")
    _, table = FIGURES["12"](two, runner, steps=10, others={"dim": tmp_path}, metrics=["PSNR"])
    assert list(dict.fromkeys(table["mask"])) == sorted(kinds)
    for k, kind in enumerate(kinds):
        face, truth = two.names[k % 2], two.hq[k % 2]
        hole = masks.MASKS[kind](seeded(f"{face} {kind}")).paint(16)[0, 0] == 1
        dim = table[(table["mask"] == kind) & (table.method == "dim")]
        assert dim.face.item() == face
        assert abs(dim["PSNR in hole"].item() - psnr(0.5 * truth[:, hole], truth[:, hole])) < 0.05
        both = table[(table["mask"] == kind) & table.method.isin(["DifFace", "another seed"])]
        assert (both.calls == 5).all() and both["PSNR in hole"].nunique() == 2
        share = 10 * math.log10(hole.double().mean().item())  # all errors are in the hole: the rest is pasted
        assert np.allclose(both["PSNR in hole"] - share, both.PSNR, atol=1e-3)


def test_figure_13_without_gamma_is_the_plain_chain_pasted(small, runner, two):
    _, table = FIGURES["13"](two, runner, steps=10, gammas=(0, 0.5), shown=1)
    hole = masks.MASKS["expand"](seeded("a expand")).paint(16)
    pipeline = runner.make("tiny", "lama", "ddim")
    pipeline.set_begin_index(480)
    chosen = {"constraint": Masked(hole, "step", 0), "generator": [seeded("a")], "output_type": "pt"}
    answer = pipeline(two.hq[:1] * (1 - hole), 10, 1.0, **chosen).images
    inside = hole[0, 0] == 1
    assert abs(table["PSNR in hole"][0] - psnr(answer[0][:, inside], two.hq[0][:, inside])) < 1e-3
    assert table["PSNR in hole"].nunique() == 2 and (table.border > 0).all()


def test_figure_14_starts_from_repeated_means(runner, two):
    _, table = FIGURES["14"](two, runner, scales=(4,), steps=20, metrics=["PSNR"])
    small = two.hq.numpy().reshape(2, 3, 4, 4, 4, 4).mean((3, 5)).repeat(4, -1).repeat(4, -2)
    assert np.allclose(table[table.method == "input y"].PSNR, [psnr(small[k], two.hq[k]) for k in range(2)], atol=1e-3)
    plain, agreeing = (table[table.method == name].PSNR for name in ("DifFace", "DifFace, Hx = y"))
    assert (agreeing.values > plain.values).all()  # the means are the truth's


def test_all_figures_go_on_without_an_inpainting_estimator(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(profiles.PROFILES, "tiny", replace(profiles.PROFILES["tiny"], inpainting={}))
    called = dict.fromkeys(FIGURES, lambda *a, **k: (None, None))
    for name, function in called.items():
        monkeypatch.setitem(FIGURES, name, function)
    monkeypatch.setattr(draw_module, "faces_of", lambda *a: None)
    monkeypatch.setattr(draw_module, "save", lambda figure, table, folder, name: [name])
    drawn = list(draw_module.draw("all", tmp_path))
    assert set(FIGURES) - {name.removeprefix("figure_") for name in drawn} == {"12", "13"}
    assert caplog.text.count("no inpainting estimator") == 2
