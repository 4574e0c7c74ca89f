"""Next purchase by other people's recommenders, judged like `rapport evaluate --format online-retail`.

    rapport evaluate --format online-retail --data online_retail.csv.gz --test-days 30 --leave-out-days 30 --write-split /tmp/validation
    rapport evaluate --format online-retail --data online_retail.csv.gz --test-days 30 --write-split /tmp/split
    pip install implicit lenskit scipy pandas
    python next_purchase.py /tmp/validation /tmp/split

Every setting is chosen on the first folder, once for all items and once for items new to the customer, and judged on the
second. What an order weighs by its age is one of the settings, so that no peer is held back by old orders. Customers are
asked with everything they bought before the cut. Beside a basket, items are asked by the other items of the basket.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender

K = 20


class Split:
    def __init__(self, folder):
        train = pd.read_csv(f"{folder}/train.csv", dtype={"customer": str, "item": str})
        test = pd.read_csv(f"{folder}/test.csv", dtype=str)
        self.items = sorted(train.item.unique())
        number = {item: i for i, item in enumerate(self.items)}
        customers = sorted(train.customer.unique())
        row = {customer: i for i, customer in enumerate(customers)}
        self.u = train.customer.map(row).to_numpy()
        self.i = train.item.map(number).to_numpy()
        self.order = train.order.to_numpy()
        self.days = train.days.to_numpy()
        self.shape = (len(customers), len(self.items))
        self.frame = train
        baskets = test.groupby("customer", sort=False).item.apply(list)
        self.users = np.array([row[c] for c in baskets.index])
        # What was never sold before the cut cannot be hit, but counts among what is right.
        self.right = [[number.get(item, -1 - at) for at, item in enumerate(basket)] for basket in baskets]
        self.seen = self.customer_matrix(0) > 0
        self.bought = self.seen[self.users].toarray()

    def customer_matrix(self, half_life):
        weight = np.exp2(-self.days / half_life) if half_life else np.ones(len(self.days))
        return sp.csr_matrix((weight.astype(np.float32), (self.u, self.i)), shape=self.shape)

    def order_matrix(self, half_life):
        weight = np.exp2(-self.days / half_life) if half_life else np.ones(len(self.days))
        return sp.csr_matrix((weight.astype(np.float32), (self.order, self.i)))

    def judge(self, scores, only_new):
        scores = np.where(self.bought, -np.inf, scores) if only_new else scores
        return judge(scores, [
            [r for r in right if r < 0 or not (only_new and self.bought[at, r])] for at, right in enumerate(self.right)
        ])


def judge(scores, right):
    """Means over cases with something right: hit rate, recall, capped recall, NDCG."""
    discount = 1 / np.log2(np.arange(K) + 2)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    figures = []
    for at, wanted in enumerate(right):
        if wanted:
            hits = np.isin(best[at], wanted) & np.isfinite(scores[at, best[at]])
            most = min(K, len(wanted))
            figures.append((hits.any(), hits.sum() / len(wanted), hits.sum() / most, (hits * discount).sum() / discount[:most].sum()))
    return np.mean(figures, axis=0)


def als(split, half_life, factors, regularization, alpha):
    matrix = split.customer_matrix(half_life)
    model = AlternatingLeastSquares(factors=factors, regularization=regularization, alpha=alpha, iterations=15, random_state=7, num_threads=2)
    model.fit(matrix, show_progress=False)
    return model.user_factors[split.users] @ model.item_factors.T


def cosine(split, half_life, by_order, neighbors):
    matrix = split.order_matrix(half_life) if by_order else split.customer_matrix(half_life)
    model = CosineRecommender(K=neighbors, num_threads=2)
    model.fit(matrix, show_progress=False)
    return (split.customer_matrix(half_life)[split.users] @ model.similarity).toarray()


def lenskit(split, neighbors, scorer):
    from lenskit.batch import predict  # noqa: F401  (fails early where LensKit is absent)
    from lenskit.data import ItemList, RecQuery, from_interactions_df
    from lenskit.knn import ItemKNNScorer

    pairs = split.frame[["customer", "item"]].drop_duplicates().rename(columns={"customer": "user_id", "item": "item_id"})
    data = from_interactions_df(pairs)
    model = ItemKNNScorer(max_nbrs=neighbors, feedback="implicit", min_nbrs=1)
    model.train(data)
    everything = ItemList(item_ids=split.items)
    customers = sorted(split.frame.customer.unique())
    scores = np.full((len(split.users), len(split.items)), -np.inf)
    for at, user in enumerate(split.users):
        history = data.user_row(customers[user])
        row = np.asarray(model(RecQuery(user_id=customers[user], user_items=history), everything).scores())
        scores[at] = np.where(np.isnan(row), -np.inf, row)
    return scores


PEERS = {
    "implicit ALS": (als, [dict(half_life=h, factors=f, regularization=r, alpha=a) for h in (0, 90) for f in (64, 128) for r in (0.1, 10.0) for a in (1.0, 10.0)]),
    "implicit cosine": (cosine, [dict(half_life=h, by_order=o, neighbors=n) for h in (0, 90) for o in (False, True) for n in (100, 500)]),
    "LensKit item-kNN": (lenskit, [dict(neighbors=n, scorer="implicit") for n in (20, 100)]),
}


def together(split, half_life, neighbors):
    """Given all but one item of an order, finds that one; at most ten of an order, evenly spaced, are asked for."""
    model = CosineRecommender(K=neighbors, num_threads=2)
    model.fit(split.order_matrix(half_life), show_progress=False)
    similarity = model.similarity.tocsr()
    figures = []
    for basket in split.right:
        known = [item for item in basket if item >= 0]
        sums = np.asarray(similarity[known].sum(axis=0)).ravel() if known else None
        turns = min(len(basket), 10) if len(basket) > 1 else 0
        for wanted in (basket[turn * len(basket) // turns] for turn in range(turns)):
            if wanted < 0:
                figures.append((0.0, 0.0))
                continue
            scores = sums - np.asarray(similarity[wanted].todense()).ravel()
            scores[[item for item in known if item != wanted]] = -np.inf
            rank = (scores >= scores[wanted]).sum() if scores[wanted] > 0 else K + 1
            figures.append((float(rank <= K), 1 / np.log2(rank + 1) if rank <= K else 0.0))
    return np.mean(figures, axis=0)


def main():
    validation, test = Split(sys.argv[1]), Split(sys.argv[2])
    print(f"{test.shape[0]} customers, {test.shape[1]} items, {len(test.users)} cases")
    for name, (peer, settings) in PEERS.items():
        tried = [(peer(validation, **setting), setting) for setting in settings]
        for only_new in (False, True):
            best = max(tried, key=lambda t: validation.judge(t[0], only_new)[2])[1]
            hit, recall, capped, ndcg = 100 * test.judge(peer(test, **best), only_new)
            question = "for_you_new" if only_new else "for_you"
            print(f"{question:12} {name:18} HR {hit:.1f} recall {recall:.2f} capped {capped:.2f} NDCG {ndcg:.2f}  {best}", flush=True)
    settings = [dict(half_life=h, neighbors=n) for h in (0, 90) for n in (100, 500)]
    best = max(settings, key=lambda s: together(validation, **s)[0])
    recall, ndcg = 100 * together(test, **best)
    print(f"bought_together implicit cosine recall {recall:.2f} NDCG {ndcg:.2f}  {best}")


if __name__ == "__main__":
    main()
