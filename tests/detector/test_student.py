"""The student: frozen but for LoRA and decoder, and each loss reaches what it should."""

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student, attention_window


@pytest.fixture
def student(tiny_pixart):
    """A function that makes a student of a random backbone with cells of 16 px."""

    def make(rank=0, reduction=1, **options):
        torch.manual_seed(0)
        settings = StudentSettings(blocks=(0, -1), width=16, rank=rank, reduction=reduction)
        return Student(load_backbone(tiny_pixart(**options)), settings)

    return make


@pytest.fixture
def student_reading_attention(tiny_pixart):
    """One whose decoder reads a window of 5 x 5 cells of the aggregated attention, and no block."""

    def make(rank=0):
        torch.manual_seed(0)
        settings = StudentSettings(blocks=(), attention=2, width=16, rank=rank)
        return Student(load_backbone(tiny_pixart()), settings)

    return make


GRID = (3, 4)
IMAGES = torch.linspace(-1, 1, 2 * 3 * 64 * 96).reshape(2, 3, 64, 96)


def test_logits_are_at_the_size_of_the_images_and_the_output_at_that_of_the_latents(student):
    logits, output = student()(IMAGES)
    assert logits.shape == (2, 64, 96)
    assert output.shape == (2, 4, 8, 12)


def test_what_it_was_trained_on_is_told_wherever_that_was(tiny_pixart):
    """A detector is loaded on the CPU first, also one that was trained on a card."""
    settings = StudentSettings(blocks=(-1,), width=16)
    here = load_backbone(tiny_pixart())
    elsewhere = load_backbone(tiny_pixart()).enable_model_cpu_offload("meta")
    assert here.fingerprint() != elsewhere.fingerprint()
    assert Student(elsewhere, settings).base == Student(here, settings).base == here.fingerprint()


def test_the_denoiser_sees_the_image_smaller_and_the_decoder_all_of_it(student):
    whole, reduced = student(), student(reduction=2)
    small = IMAGES.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-2, -1))  # of 2 x 2 px each
    assert reduced.cell == 2 * whole.cell
    expected, output = whole.features(small)
    features, seen = reduced.features(IMAGES)
    assert torch.allclose(features, expected, atol=1e-5)
    assert torch.allclose(seen, output, atol=1e-5)
    logits, _ = reduced(IMAGES)
    assert logits.shape == (2, 64, 96)
    # Moved within the 2 x 2 px, they are the same to the denoiser, and others to the decoder.
    swapped = IMAGES.unflatten(3, (-1, 2)).flip(-1).flatten(3)
    assert torch.allclose(reduced.features(swapped)[0], features, atol=1e-5)
    assert not torch.allclose(reduced(swapped)[0], logits, atol=1e-5)


def test_given_features_are_taken_in_place_of_a_pass(student):
    made = student()
    logits, _ = made(IMAGES)
    again, output = made(IMAGES, made.features(IMAGES)[0])
    assert output is None
    assert torch.equal(logits, again)


def test_without_a_rank_nothing_but_the_decoder_is_trained(student):
    assert {name.split(".")[0] for name, _ in student().trained()} == {"decoder"}


def test_lora_is_on_every_self_attention_and_nowhere_else(student):
    pytest.importorskip("peft")
    names = {name for name, _ in student(rank=2).trained() if not name.startswith("decoder")}
    targets = {name.split(".lora_")[0] for name in names}
    expected = {
        f"denoiser.transformer_blocks.{block}.attn1.{projection}"
        for block in (0, 1)
        for projection in ("to_q", "to_k", "to_v", "to_out.0")
    }
    assert targets == expected


def test_fresh_lora_changes_nothing(student):
    pytest.importorskip("peft")
    assert torch.equal(student().features(IMAGES)[1], student(rank=2).features(IMAGES)[1])


@pytest.mark.parametrize("loss", ["edges", "reconstruction"])
def test_each_part_of_the_loss_reaches_the_lora(student, loss):
    pytest.importorskip("peft")
    made = student(rank=2)
    logits, output = made(IMAGES)
    if loss == "edges":
        logits.sum().backward()
    else:
        (made.reconstruct(output) - IMAGES).square().mean().backward()
    # B is zero at first, so that A has no gradient yet.
    gradients = {n: p.grad for n, p in made.trained() if "lora_B" in n}
    assert len(gradients) == 8
    reached = {name for name, grad in gradients.items() if grad is not None and grad.any()}
    # Behind the last attention nothing of block 1 is left out.
    assert reached == set(gradients)


def test_a_block_that_is_not_there_is_named(tiny_pixart):
    with pytest.raises(ValueError, match=r"has no block 7: its blocks are 0 .. 1"):
        Student(load_backbone(tiny_pixart()), StudentSettings(blocks=(7,)))


@pytest.mark.parametrize("wrong", [{"rank": -1}, {"width": 20}, {"width": 8}])
def test_settings_that_make_no_student_are_refused(wrong):
    with pytest.raises(ValueError, match="and should be"):
        StudentSettings(**wrong)


def test_attention_comes_on_top_of_what_is_read(student_reading_attention):
    features, _ = student_reading_attention().features(IMAGES)
    assert features.shape[1] == 25 + 2 * 4 * 4  # latent and output: 4 channels of 2 x 2 each
    assert student_reading_attention()(IMAGES)[0].shape == (2, 64, 96)


def test_the_attention_that_is_read_is_that_of_the_backbone(student_reading_attention):
    made = student_reading_attention()
    features, _ = made.features(IMAGES)
    with torch.no_grad():
        _, attention, grid = made.backbone.attend(made.backbone.encode(IMAGES), 0)
    assert torch.allclose(features[:, :25], attention_window(attention, grid, 2), atol=1e-5)


def test_gradients_reach_queries_and_keys_through_the_attention(student_reading_attention):
    pytest.importorskip("peft")
    made = student_reading_attention(rank=2)
    features, _ = made.features(IMAGES)
    features[:, :25].square().mean().backward()
    reached = {
        n for n, p in made.trained() if "lora_B" in n and p.grad is not None and p.grad.any()
    }
    wanted = {f"denoiser.transformer_blocks.{b}.attn1.to_{p}" for b in (0, 1) for p in "qk"}
    assert wanted <= {name.split(".lora_")[0] for name in reached}


def random_map():
    logits = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(0))
    return torch.softmax(logits, dim=-1)


def test_even_attention_is_zero_everywhere():
    even = torch.full((1, 12, 12), 1 / 12)
    window = attention_window(even, GRID, 1)
    assert window.shape == (1, 9, 3, 4)
    assert torch.allclose(window, torch.zeros(()), atol=1e-6)


def test_the_middle_channel_is_what_a_cell_pays_to_itself():
    maps = random_map()
    window = attention_window(maps, GRID, 1)
    itself = (12 * maps.diagonal(dim1=1, dim2=2)).log().unflatten(1, GRID)
    assert torch.allclose(window[:, 4], 2 * itself, atol=1e-5)


def test_left_and_right_come_as_sum_and_difference():
    maps = random_map()
    window = attention_window(maps, GRID, 1)
    query = 1 * 4 + 1  # row 1, column 1
    left, right = ((12 * maps[0, query, key]).log() for key in (query - 1, query + 1))
    assert torch.allclose(window[0, 3, 1, 1], left + right, atol=1e-5)
    assert torch.allclose(window[0, 5, 1, 1], (right - left).abs(), atol=1e-5)


def test_what_lies_outside_counts_as_even():
    maps = random_map()
    window = attention_window(maps, GRID, 1)
    right = (12 * maps[0, 0, 1]).log()  # of the first cell; to its left there is nothing
    assert torch.allclose(window[0, 3, 0, 0], right, atol=1e-5)


def test_a_mirrored_image_has_the_mirrored_window():
    maps = random_map()
    turned = torch.arange(12).reshape(GRID).flip(-1).flatten()
    mirrored = maps[:, turned][:, :, turned]
    straight = attention_window(maps, GRID, 2)
    assert torch.allclose(attention_window(mirrored, GRID, 2), straight.flip(-1), atol=1e-5)
