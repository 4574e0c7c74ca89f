"""Approximate nearest neighbours by hnswlib, usearch and faiss, beside the index of `rapport-models` on the same vectors and core.

Needs: pip install numpy hnswlib usearch faiss-cpu

    cargo build --release -p rapport-models --example bench_neighbors
    target/release/examples/bench_neighbors generate DIR
    target/release/examples/bench_neighbors build DIR
    taskset -c 0 python models/peers/ann.py DIR target/release/examples/bench_neighbors

Every library gets M = 16 and ef_construction = 200, searches on one thread, all queries in one call. The indexes are built on the first run and kept in DIR.
Rounds take turns so that a busy machine is busy for all of them; the best round of each counts, by
the processor's time. Prints lines of JSON and a table.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import faiss
import hnswlib
import numpy as np
from usearch.index import Index

K, M, EF_CONSTRUCTION = 10, 16, 200
EFS = [10, 14, 16, 20, 32, 40, 80]
ROUNDS = 5


def timed(what, work):
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"what": what, "seconds": round(wall, 4), "cpu_seconds": round(cpu, 4)}), flush=True)
    return result


def on_all_cores(work):
    """Builds may use every core, as ours does; searches keep to the one that was given."""
    one = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count()))
    try:
        return work()
    finally:
        os.sched_setaffinity(0, one)


def open_hnswlib(folder, vectors):
    path = str(folder / "hnswlib.bin")
    index = hnswlib.Index("ip", vectors.shape[1])
    if not Path(path).exists():
        index.init_index(len(vectors), M=M, ef_construction=EF_CONSTRUCTION)
        timed("hnswlib build", lambda: on_all_cores(lambda: index.add_items(vectors, num_threads=os.cpu_count())))
        index.save_index(path)
    index = hnswlib.Index("ip", vectors.shape[1])
    timed("hnswlib open", lambda: index.load_index(path))

    def search(queries, ef):
        index.set_ef(ef)
        return index.knn_query(queries, k=K, num_threads=1)[0]

    return search


def open_faiss(folder, vectors):
    path = str(folder / "faiss.bin")
    if not Path(path).exists():
        index = faiss.IndexHNSWFlat(vectors.shape[1], M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
        faiss.omp_set_num_threads(os.cpu_count())
        timed("faiss build", lambda: on_all_cores(lambda: index.add(vectors)))
        faiss.write_index(index, path)
    faiss.omp_set_num_threads(1)
    index = timed("faiss open", lambda: faiss.read_index(path))

    def search(queries, ef):
        index.hnsw.efSearch = ef
        return index.search(queries, K)[1]

    return search


def open_usearch(folder, vectors):
    path = str(folder / "usearch.bin")
    make = lambda: Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION)
    if not Path(path).exists():
        index = make()
        timed("usearch build", lambda: on_all_cores(lambda: index.add(np.arange(len(vectors)), vectors, threads=os.cpu_count())))
        index.save(path)
    index = make()
    timed("usearch open", lambda: index.load(path))

    def search(queries, ef):
        index.expansion_search = ef
        return index.search(queries, K, threads=1).keys

    return search


def main():
    folder = Path(sys.argv[1])
    program = sys.argv[2] if len(sys.argv) > 2 else None
    dimension = int((folder / "dimension").read_text())
    read = lambda name, kind: np.fromfile(folder / name, dtype=kind)
    vectors = read("vectors.f32", "f4").reshape(-1, dimension)
    queries = read("queries.f32", "f4").reshape(-1, dimension)
    truth = read("truth.u32", "u4").reshape(-1, K)

    peers = {"hnswlib": open_hnswlib(folder, vectors), "faiss": open_faiss(folder, vectors), "usearch": open_usearch(folder, vectors)}
    best = {}
    for _ in range(ROUNDS):
        for ef in EFS:
            for name, search in peers.items():
                start = time.thread_time()
                found = search(queries, ef)
                qps = len(queries) / (time.thread_time() - start)
                recall = np.mean([np.isin(f, t).mean() for f, t in zip(found, truth)])
                best[name, ef] = (recall, max(qps, best.get((name, ef), (0, 0))[1]))
            if program:
                lines = subprocess.run([program, "search", folder, str(ef)], capture_output=True, text=True, check=True).stdout
                line = json.loads(lines.splitlines()[-1])
                best["rapport", ef] = (line["recall"], max(line["qps"], best.get(("rapport", ef), (0, 0))[1]))

    names = list(peers) + (["rapport"] if program else [])
    print("| ef | " + " | ".join(f"{name} recall | queries/s" for name in names) + " |")
    print("|---|" + "---|---|" * len(names))
    for ef in EFS:
        print(f"| {ef} | " + " | ".join(f"{best[name, ef][0]:.4f} | {best[name, ef][1]:,.0f}" for name in names) + " |")


main()
