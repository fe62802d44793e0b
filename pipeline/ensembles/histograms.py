"""How every metric is spread over the ensembles of a search: rows of dc_batch_histogram."""

import numpy as np

from configs.metric_names import VOTE_METRICS
from ensemble.search import BINS, edges
from pipeline.ensembles.ranges import PARTS
from pipeline.ensembles.searching import Searched
from storage.ensembles import Bin


def bins(searched: Searched) -> tuple[Bin, ...]:
    """The histograms of every metric, without bins in which there is no ensemble."""
    rows = []
    for part, split in enumerate(PARTS):
        for place, metric in enumerate(VOTE_METRICS):
            n, ends = searched.best.histograms[part, place], edges(metric)
            rows += [
                Bin(
                    metric=metric,
                    split=split,
                    bin_no=int(number),
                    bin_from=float(ends[number]) if number < BINS else None,
                    bin_to=float(ends[number + 1]) if number < BINS else None,
                    n=int(n[number]),
                )
                for number in np.flatnonzero(n)
            ]
    return tuple(rows)
