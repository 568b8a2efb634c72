"""The paper's figures of results, from the rows of any runs.

python experiments/figures/results.py --figure=3 --output=figure_3.png runs/standard runs/dynmix

  3   error under each corruption beside the clean error
  4   mCE on ImageNet-C (2DCC) against ImageNet-3DCC
  9   error and RMS calibration error by severity
  10  training loss and, of runs with --robustness_every, errors by epoch

Runs are folders with robustness.csv, and for figure 10 metrics.jsonl. --benchmark chooses among the
benchmarks in them; the same rows give the same bytes.
"""

import argparse
import sys
from pathlib import Path

from dynmix_tf.benchmarks.opening import BASELINES
from dynmix_tf.errors import InputError
from dynmix_tf.reports import plots
from dynmix_tf.reports.compare import check_alike, labels_of, read_evaluation
from dynmix_tf.reports.finished_runs import read_epochs
from dynmix_tf.reports.summary import Summary, summary

TWO = {"imagenet_c": "ImageNet-2DCC", "imagenet_3dcc": "ImageNet-3DCC"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders with robustness.csv")
    parser.add_argument("--figure", required=True, choices=("3", "4", "9", "10"), help="see above")
    parser.add_argument("--output", required=True, type=Path, help="a .png file")
    parser.add_argument(
        "--benchmark", default="", help="of figures 3, 9 and 10: its name, such as cifar10_c"
    )
    arguments = parser.parse_args()
    try:
        draw(arguments.figure, arguments.runs, arguments.output, arguments.benchmark)
    except InputError as error:
        sys.exit(str(error))


def draw(figure: str, runs: list[Path], output: Path, benchmark: str = "") -> None:
    """Draws one figure of the runs."""
    if figure == "10":
        labels = labels_of([read_evaluation(run, benchmark) for run in runs])
        lines = [read_epochs(run / "metrics.jsonl") for run in runs]
        plots.training_curves(output, dict(zip(labels, lines, strict=True)))
        return
    if figure == "4":
        means = {
            title: {
                label: found["mean_corruption_error"]
                for label, found in summaries(runs, name, BASELINES[name]).items()
            }
            for name, title in TWO.items()
        }
        plots.mean_by_benchmark(output, means, "mCE, %")
        return
    found = summaries(runs, benchmark)
    if figure == "3":
        plots.error_by_corruption(
            output,
            {label: each["corruption_errors"] for label, each in found.items()},
            {label: each["clean_error"] for label, each in found.items()},
        )
    else:
        fields = {"error": "error_by_severity", "calibration": "calibration_by_severity"}
        plots.error_and_calibration_by_severity(
            output,
            {
                label: {name: each[field] for name, field in fields.items()}
                for label, each in found.items()
            },
        )


def summaries(runs: list[Path], benchmark: str, baseline: dict | None = None) -> dict[str, Summary]:
    """The figures of the runs on one benchmark, by the label of each."""
    evaluations = [read_evaluation(run, benchmark) for run in runs]
    for other in evaluations[1:]:
        check_alike(evaluations[0], other)
    found = [summary(each.rows, baseline) for each in evaluations]
    return dict(zip(labels_of(evaluations), found, strict=True))


if __name__ == "__main__":
    main()
