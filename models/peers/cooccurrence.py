"""100 nearest neighbours of each item by cosine, by other libraries, on the files of `bench_cooccurrence generate`.

    python3 -m venv venv && venv/bin/pip install numpy scipy implicit lenskit
    venv/bin/python models/peers/cooccurrence.py DIR implicit|scipy|lenskit|none [THREADS]

Prints one JSON object: wall and CPU seconds of the fitting alone, peak memory of the process and above the loaded input.
Where `bench_cooccurrence run DIR` has been before, each item's neighbours are compared with DIR/ours.*: the scores at each
place must agree, and so must the items, except where they tie with the last one kept.
"""

import json
import os
import resource
import sys
import time

DIR, PEER = sys.argv[1], sys.argv[2]
THREADS = int(sys.argv[3]) if len(sys.argv) > 3 else 2
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "LK_NUM_THREADS"):
    os.environ[name] = "1" if name == "OPENBLAS_NUM_THREADS" else str(THREADS)

import numpy as np
import scipy.sparse as sp

ITEMS, TOP = 50_000, 100


def load():
    indptr = np.fromfile(f"{DIR}/indptr.i64", dtype=np.int64)
    items = np.fromfile(f"{DIR}/items.i32", dtype=np.int32)
    return indptr.astype(np.int32), items


def by_implicit(indptr, items):
    from implicit.nearest_neighbours import CosineRecommender

    groups = sp.csr_matrix((np.ones(len(items), dtype=np.float64), items, indptr), shape=(len(indptr) - 1, ITEMS))

    def fit():
        # An item is its own nearest neighbour here, so one more is asked for.
        model = CosineRecommender(K=TOP + 1, num_threads=THREADS)
        model.fit(groups, show_progress=False)
        return model.similarity

    return fit


def by_scipy(indptr, items):
    groups = sp.csr_matrix((np.ones(len(items), dtype=np.float32), items, indptr), shape=(len(indptr) - 1, ITEMS))

    def fit():
        norms = np.sqrt(np.bincount(groups.indices, minlength=ITEMS))
        scaled = (groups @ sp.diags((1 / np.maximum(norms, 1)).astype(np.float32))).tocsr()
        transposed = scaled.T.tocsr()
        rows, columns, scores = [], [], []
        # Blocks keep the product small: as a whole it would not fit the memory of small machines.
        for start in range(0, ITEMS, 500):
            block = (transposed[start : start + 500] @ scaled).tocsr()
            for row in range(block.shape[0]):
                low, high = block.indptr[row], block.indptr[row + 1]
                value, column = block.data[low:high], block.indices[low:high]
                keep = column != start + row
                value, column = value[keep], column[keep]
                if len(value) > TOP:
                    best = np.argpartition(value, -TOP)[-TOP:]
                    value, column = value[best], column[best]
                rows.append(np.full(len(value), start + row, dtype=np.int32))
                columns.append(column)
                scores.append(value)
        coordinates = (np.concatenate(rows), np.concatenate(columns))
        return sp.csr_matrix((np.concatenate(scores), coordinates), shape=(ITEMS, ITEMS))

    return fit


def by_lenskit(indptr, items):
    import pandas as pd
    from lenskit.data import from_interactions_df
    from lenskit.knn import ItemKNNScorer
    from lenskit.training import TrainingOptions

    users = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
    data = from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items}))

    def fit():
        model = ItemKNNScorer(feedback="implicit", max_nbrs=20, save_nbrs=TOP, min_sim=1e-6)
        model.train(data, TrainingOptions())
        similar = model.sim_matrix
        if not sp.issparse(similar):
            similar = similar.to_scipy()
        similar = similar.tocsr()
        # Its numbers of items are those of its own vocabulary.
        numbers = np.asarray(model.items.ids())
        coordinates = similar.tocoo()
        return sp.csr_matrix((coordinates.data, (numbers[coordinates.row], numbers[coordinates.col])), shape=(ITEMS, ITEMS))

    return fit


def compare(similar):
    """Returns how many items have another list than ours, apart from ties with the last place."""
    indptr = np.fromfile(f"{DIR}/ours.indptr.u32", dtype=np.uint32).astype(np.int64)
    items = np.fromfile(f"{DIR}/ours.items.u32", dtype=np.uint32)
    scores = np.fromfile(f"{DIR}/ours.scores.f32", dtype=np.float32)
    different, ties = 0, 0
    for item in range(ITEMS):
        low, high = similar.indptr[item], similar.indptr[item + 1]
        value, column = similar.data[low:high], similar.indices[low:high]
        keep = (column != item) & (value > 0)
        value, column = value[keep], column[keep]
        order = np.argsort(-value, kind="stable")[:TOP]
        value, column = value[order].astype(np.float64), column[order]
        mine = slice(indptr[item], indptr[item + 1])
        own_value, own_column = scores[mine].astype(np.float64), items[mine]
        if len(value) != len(own_value) or not np.allclose(value, own_value, rtol=1e-4, atol=0):
            different += 1
        elif len(value):
            last = own_value[-1] * (1 + 1e-4)
            if set(column[value > last]) ^ set(own_column[own_value > last]):
                different += 1
            ties += len(set(column) ^ set(own_column)) // 2
    return {"items_that_differ": different, "neighbors_tied_with_the_last": ties}


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def resident_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmRSS"))


def main():
    indptr, items = load()
    if PEER == "none":
        print(json.dumps({"program": "numpy and scipy, input loaded", "peak_mb": peak_mb()}))
        return
    fit = {"implicit": by_implicit, "scipy": by_scipy, "lenskit": by_lenskit}[PEER](indptr, items)
    loaded = resident_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    similar = fit()
    figures = {
        "program": PEER,
        "threads": THREADS,
        "interactions": len(items),
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_mb": round(peak_mb(), 1),
        "above_input_mb": round(peak_mb() - loaded, 1),
        "neighbors": int(similar.nnz),
        "score_sum": float(similar.data.sum()),
    }
    if os.path.exists(f"{DIR}/ours.indptr.u32"):
        figures |= compare(similar.tocsr())
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
