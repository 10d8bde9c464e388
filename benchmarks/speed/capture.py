"""Cost of recording self-attention beside the plain pass, and what working in blocks saves.

    python -m benchmarks.speed.capture --json out/capture.json

One run with the embedded model: the plain pass of the denoiser, the pass with the capture as the
package does it (softmax in blocks of rows that fit the cache), and with the same capture in one
block per head, a whole (N, N) map at a time. Median of --repeats; ratios are to the plain pass.
"""

import argparse
from pathlib import Path

import torch

from benchmarks._shared.reports import guarded, markdown, write_json
from benchmarks._shared.timing import median
from trace_edges.attention import maps
from trace_edges.backbones import load_backbone
from trace_edges.doctor.machine import processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    backbone = load_backbone()
    blocks = maps._CPU_BLOCK_BYTES
    rows = []
    for resolution in options.resolutions:
        side = resolution // backbone.cell
        latents = torch.randn(1, 16, side, side, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            plain = median(lambda x=latents: backbone.predict(x, 99), options.repeats)
            blocked = median(lambda x=latents: backbone.attend(x, 99), options.repeats)
            maps._CPU_BLOCK_BYTES = 1 << 40
            whole = median(lambda x=latents: backbone.attend(x, 99), options.repeats)
            maps._CPU_BLOCK_BYTES = blocks
        row = {"px": resolution, "tokens": side * side, "pass_s": plain}
        row |= {"with_capture": blocked / plain, "with_capture_unblocked": whole / plain}
        rows.append(row)
    print(f"{processor()}, {options.threads} threads, float32\n")
    header = ("px", "tokens", "plain pass, s", "pass + capture", "the same without blocks")
    lines = []
    for row in rows:
        ratios = [f"{row[name]:.2f} x" for name in ("with_capture", "with_capture_unblocked")]
        lines.append((row["px"], row["tokens"], f"{row['pass_s']:.2f}", *ratios))
    print(markdown(header, lines))
    if options.json:
        write_json(rows, options.json, indent=1)


if __name__ == "__main__":
    guarded(main)
