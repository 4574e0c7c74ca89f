//! Who bought what when, and for how much: orders in the order of time.

/// A customer nobody knows: a guest's order teaches what goes together and what sells, but nothing about a person.
pub const GUEST: u32 = u32::MAX;

/// Seconds of a day.
pub(crate) const DAY: f64 = 86_400.0;

/// One item of an order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// The item.
    pub item: u32,
    /// When it was bought, in seconds since any fixed moment. Lines of the same moment are one order.
    pub time: f64,
    /// Price of one, in the shop's currency; not above 0 where it is not known.
    pub price: f32,
}

/// One order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order<'a> {
    /// Who bought, or [`GUEST`].
    pub customer: u32,
    /// When, in seconds.
    pub time: f64,
    /// Distinct items, ascending, all with the time of the order.
    pub lines: &'a [Line],
}

/// An order as it comes in: customer, time in seconds, items with their prices.
type Bought = (u32, f64, Vec<(u32, f32)>);

/// Orders, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Orders {
    starts: Vec<usize>,
    lines: Vec<Line>,
    customers: Vec<u32>,
    n_items: usize,
}

impl Orders {
    /// Collects orders of a catalog of `n_items`, each (customer, time in seconds, items with their prices), in any order.
    ///
    /// Repeated items of an order count once, at their first price. Items outside the catalog are left out, and so are orders without an item or with a
    /// time that is not finite. Orders of the same moment stay in the order they came in.
    pub fn new(n_items: usize, orders: impl IntoIterator<Item = Bought>) -> Self {
        let mut sorted: Vec<Bought> = orders.into_iter().filter(|(_, time, _)| time.is_finite()).collect();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut all = Self { starts: vec![0], lines: Vec::new(), customers: Vec::new(), n_items };
        for (customer, time, mut items) in sorted {
            items.retain(|&(item, _)| (item as usize) < n_items);
            items.sort_by_key(|&(item, _)| item);
            items.dedup_by_key(|&mut (item, _)| item);
            if !items.is_empty() {
                all.lines.extend(items.into_iter().map(|(item, price)| Line { item, time, price }));
                all.starts.push(all.lines.len());
                all.customers.push(customer);
            }
        }
        all
    }

    /// Returns the number of items of the catalog, bought or not.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Returns the number of orders.
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Returns whether there is no order.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Returns an order by its place in time.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, order: usize) -> Order<'_> {
        let lines = &self.lines[self.starts[order]..self.starts[order + 1]];
        Order { customer: self.customers[order], time: lines.first().map_or(0.0, |line| line.time), lines }
    }

    /// Returns the orders, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Order<'_>> + ExactSizeIterator {
        (0..self.len()).map(|order| self.get(order))
    }

    /// Returns the time of the newest order; 0 without orders.
    pub fn newest(&self) -> f64 {
        self.lines.last().map_or(0.0, |line| line.time)
    }

    /// Returns how many orders are older than `time`.
    pub fn before(&self, time: f64) -> usize {
        self.starts[..self.len()].partition_point(|&start| self.lines[start].time < time)
    }

    /// Returns the first `orders` of them.
    #[must_use]
    pub fn first(&self, orders: usize) -> Self {
        let orders = orders.min(self.len());
        let starts = self.starts.get(..=orders).map_or_else(|| vec![0], <[usize]>::to_vec);
        let lines = self.lines[..starts[orders]].to_vec();
        Self { starts, lines, customers: self.customers[..orders].to_vec(), n_items: self.n_items }
    }

    /// Returns what each known customer bought, oldest first.
    pub fn by_customer(&self) -> Histories {
        let n = self.customers.iter().filter(|&&customer| customer != GUEST).max().map_or(0, |&most| most as usize + 1);
        let known = || self.iter().filter(|order| order.customer != GUEST);
        let mut starts = vec![0; n + 1];
        for order in known() {
            starts[order.customer as usize + 1] += order.lines.len();
        }
        for customer in 0..n {
            starts[customer + 1] += starts[customer];
        }
        let mut next = starts.clone();
        let mut lines = vec![Line { item: 0, time: 0.0, price: 0.0 }; starts[n]];
        for order in known() {
            let at = &mut next[order.customer as usize];
            lines[*at..*at + order.lines.len()].copy_from_slice(order.lines);
            *at += order.lines.len();
        }
        Histories { starts, lines }
    }
}

/// What each customer bought.
#[derive(Debug, Clone, PartialEq)]
pub struct Histories {
    starts: Vec<usize>,
    lines: Vec<Line>,
}

impl Histories {
    /// Returns what a customer bought, oldest first; nothing for one without orders.
    pub fn of(&self, customer: u32) -> &[Line] {
        let customer = customer as usize;
        match (self.starts.get(customer), self.starts.get(customer.saturating_add(1))) {
            (Some(&start), Some(&end)) => &self.lines[start..end],
            _ => &[],
        }
    }

    /// Returns the lines of everyone, customer after customer.
    pub fn iter(&self) -> impl Iterator<Item = &[Line]> {
        self.starts.windows(2).map(|bounds| &self.lines[bounds[0]..bounds[1]]).filter(|lines| !lines.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Orders {
        Orders::new(
            4,
            [
                (1, 30.0, vec![(2, 5.0), (0, 1.0), (2, 6.0)]),
                (GUEST, 10.0, vec![(3, 1.0)]),
                (0, 20.0, vec![(9, 1.0)]),
                (1, 20.0, vec![(1, 2.0), (9, 1.0)]),
                (0, f64::NAN, vec![(1, 2.0)]),
            ],
        )
    }

    #[test]
    fn orders_stand_in_time_with_distinct_known_items() {
        let orders = orders();
        let seen: Vec<(u32, f64, Vec<u32>)> =
            orders.iter().map(|o| (o.customer, o.time, o.lines.iter().map(|l| l.item).collect())).collect();
        assert_eq!(seen, [(GUEST, 10.0, vec![3]), (1, 20.0, vec![1]), (1, 30.0, vec![0, 2])]);
        assert_eq!(orders.get(2).lines[1].price, 5.0);
        assert_eq!((orders.before(20.0), orders.before(20.5), orders.before(99.0)), (1, 2, 3));
        assert_eq!(orders.first(2).newest(), 20.0);
        assert_eq!(orders.first(0).len(), 0);
    }

    #[test]
    fn histories_are_of_known_customers() {
        let histories = orders().by_customer();
        let items = |customer| histories.of(customer).iter().map(|line| line.item).collect::<Vec<_>>();
        assert_eq!((items(0), items(1), items(GUEST)), (vec![], vec![1, 0, 2], vec![]));
        assert_eq!(histories.iter().count(), 1);
        assert_eq!(Orders::default().by_customer().iter().count(), 0);
    }
}
