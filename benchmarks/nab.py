"""SeriesAnomaly on the Numenta Anomaly Benchmark (NAB), beside simple detectors and published figures.

    python benchmarks/nab.py --data nab.tar.gz [--profile standard] [--detectors ours,null] [--jobs 2]
                             [--json OUT] [--verbose]

The data is NAB's (58 series, 365,558 values, 116 labelled windows), read from its tar file. The scoring is
our own implementation of NAB's rules, with one threshold for all series and a profile (_nab_scoring.py). The
windowed Gaussian is NAB's own baseline and has to give the published figures. Half: the even files at the
threshold that is best for the odd ones, and the reverse, so that the threshold is not judged where it was
chosen. µs: CPU time for a value, score and learn.
"""

# ruff: noqa: E402 - see sys.path below

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing import Pool
from pathlib import Path

sys.path[0] = str(
    Path(__file__).resolve().parents[1]
)  # benchmarks/hunches.py would shadow the package of the same name

from benchmarks._nab_detectors import DETECTORS
from benchmarks._nab_scoring import PROFILES, Profile, Result, Series, at_threshold, detections, evaluate

LABELS = "labels/combined_windows.json"
PUBLISHED = {  # NAB's scoreboard; not measured here
    "ARTime": (74.9, 65.1, 80.4),
    "Numenta HTM": (70.1, 63.1, 74.3),
    "CAD OSE": (69.9, 67.0, 73.2),
    "KNN CAD": (58.0, 43.4, 64.8),
    "Random Cut Forest": (51.7, 38.4, 59.7),
    "windowed Gaussian": (39.6, 20.9, 47.4),
}


def read(path: Path) -> list[Series]:
    """Read the corpus from NAB's tar file, or from one below a folder."""
    if path.is_dir():
        path = next(path.rglob("nab*.tar.gz"))
    with tarfile.open(path) as tar:
        texts = {m.name: tar.extractfile(m).read().decode() for m in tar.getmembers() if m.isfile()}  # type: ignore[union-attr]
    windows = json.loads(texts[LABELS])
    return [series(name, texts[f"data/{name}"], windows[name]) for name in sorted(windows)]


def series(name: str, text: str, labels: Sequence[tuple[str, str]]) -> Series:
    rows = list(csv.reader(io.StringIO(text)))[1:]
    times = [seconds(at) for at, _ in rows]
    first = {at: i for i, at in reversed(list(enumerate(times)))}
    windows = [(first[seconds(start)], first[seconds(end)]) for start, end in labels]
    return Series(name, times, [float(value) for _, value in rows], windows)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def run(job: tuple[str, Series]) -> tuple[list[float], float]:
    """Return the scores of a detector on a series, and its CPU time in seconds."""
    name, given = job
    started = time.process_time()
    return DETECTORS[name](given), time.process_time() - started


def halves(corpus: Sequence[Series], scores: Mapping[str, Sequence[float]], profile: Profile) -> list[float]:
    """Score each half of the files at the threshold that is best for the other half."""
    odd, even = corpus[1::2], corpus[::2]
    return [
        at_threshold(judged, scores, profile, evaluate(chosen, scores, profile).threshold)
        for chosen, judged in ((odd, even), (even, odd))
    ]


def report(
    corpus: Sequence[Series], scores: Mapping[str, Sequence[float]], profile: Profile, result: Result
) -> None:
    print(
        f"\n{profile.name} at {result.threshold:.4f}: place of each hit in its window, misses, false alarms"
    )
    for given in corpus:
        found = detections(given, scores[given.name], result.threshold)
        places = [
            "missed" if row is None else f"{(row - start) / max(1, end - start):.2f}"
            for row, (start, end) in zip(found.hits, given.windows, strict=True)
        ]
        print(f"  {given.name:55} {' '.join(places) or '-':35} false {len(found.false):3} {found.false[:8]}")


def measure(corpus: Sequence[Series], name: str, options: argparse.Namespace) -> dict[str, object]:
    """Run a detector over the corpus, print its line, and return it for the JSON."""
    with Pool(options.jobs) as pool:
        given = pool.map(run, [(name, s) for s in corpus], chunksize=1)
    scores = {s.name: found for s, (found, _) in zip(corpus, given, strict=True)}
    micros = 1e6 * sum(took for _, took in given) / sum(len(s.values) for s in corpus)
    row: dict[str, object] = {"detector": name, "us": round(micros, 1)}
    cells = []
    for profile in options.profiles:
        result, apart = evaluate(corpus, scores, profile), halves(corpus, scores, profile)
        row[profile.name] = {
            "score": round(result.score, 2),
            "halves": [round(half, 2) for half in apart],
            "threshold": result.threshold,
            "hits": result.hits,
            "missed": result.missed,
            "false": result.false,
        }
        half = "/".join(f"{max(x, -99.9):.1f}" for x in apart)
        cells.append(f"{result.score:6.1f} {half:>11} {result.hits:4} {result.missed:4} {result.false:5}")
        if options.verbose:
            report(corpus, scores, profile, result)
    print(f"{name:18} {micros:6.1f} | " + " | ".join(cells), flush=True)
    return row


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {p.name: p for p in PROFILES}
    parser.add_argument("--data", type=Path, required=True, help="NAB as a tar file, or a folder with it")
    parser.add_argument("--profile", choices=[*names, "all"], default="all")
    parser.add_argument("--detectors", default=",".join(DETECTORS), metavar="A,B")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true", help="each file's hits, misses, and false alarms")
    options = parser.parse_args()
    if unknown := set(options.detectors.split(",")) - set(DETECTORS):
        parser.error(f"no detector {', '.join(sorted(unknown))}; there are {', '.join(DETECTORS)}")
    options.profiles = PROFILES if options.profile == "all" else (names[options.profile],)
    return options


def main() -> None:
    options = arguments()
    corpus = read(options.data)
    windows = sum(len(s.windows) for s in corpus)
    print(f"{len(corpus)} series, {sum(len(s.values) for s in corpus)} values, {windows} windows")
    print(" " * 28 + "   ".join(f"{p.name:32}" for p in options.profiles))
    print(
        f"{'':18} {'µs':>6}"
        + f" | {'score':>6} {'half':>11} {'hits':>4} {'miss':>4} {'false':>5}" * len(options.profiles)
    )
    rows = [measure(corpus, name, options) for name in options.detectors.split(",")]
    print("published:")
    for name, published in PUBLISHED.items():
        shown = [f"{s:6.1f}" for s, p in zip(published, PROFILES, strict=True) if p in options.profiles]
        print(f"{name:25} | " + (" " * 28 + "| ").join(shown))
    if options.json:
        options.json.write_text(json.dumps({"measured": rows, "published": PUBLISHED}, indent=1) + "\n")


if __name__ == "__main__":
    main()
