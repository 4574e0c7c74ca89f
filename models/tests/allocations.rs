//! Answers allocate nothing once their memory has grown: counted by the allocator itself.
#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rapport_models::model::Model;
use rapport_models::next_item::{self, NextItem};
use rapport_models::orders::{Line, Orders};
use rapport_models::purchase::{self, NextPurchase};
use rapport_models::session_knn::SessionKnn;
use rapport_models::sessions::Sessions;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: Everything is left to the system's allocator; counting touches a thread-local number only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: The caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: The memory came from `alloc` above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Visits along a ring of items, with jumps and returns.
fn visits() -> Vec<Vec<u32>> {
    (0..6_000_u32)
        .map(|n| {
            let start = n.wrapping_mul(7_919) % 300;
            (0..2 + n % 7).map(|step| if step % 3 == 2 { start } else { (start + step * (1 + n % 3)) % 300 }).collect()
        })
        .collect()
}

/// Returns how many allocations the second round of the same questions makes.
fn second_round<M>(model: &M, visits: &[Vec<u32>]) -> u64
where
    M: for<'a> Model<Query<'a> = &'a [u32]>,
{
    let (mut scratch, mut out) = (M::Scratch::default(), Vec::new());
    let mut round = || {
        let before = ALLOCATIONS.get();
        let mut answered = 0;
        for visit in visits.iter().take(1_000) {
            model.predict(visit, 20, &mut scratch, &mut out);
            answered += out.len();
        }
        assert!(answered > 1_000);
        ALLOCATIONS.get() - before
    };
    assert!(round() > 0, "the first round grows its memory");
    round()
}

#[test]
fn answers_allocate_nothing() {
    let visits = visits();
    let slices: Vec<&[u32]> = visits.iter().map(Vec::as_slice).collect();
    let at: Vec<f32> = (0..visits.len()).map(|n| n as f32).collect();
    let sessions = Sessions { sessions: &slices, at: &at, n_items: 300 };
    assert_eq!(second_round(&SessionKnn::fit(&sessions, &Default::default()), &visits), 0);
    let mut options = next_item::Options::default();
    options.trees.trees = 20;
    let model = NextItem::fit(&sessions, &options);
    assert!(model.forest().n_trees() > 0, "the learned order is part of what is counted");
    assert_eq!(second_round(&model, &visits), 0);
}

#[test]
fn the_next_purchase_allocates_nothing() {
    const DAY: f64 = 86_400.0;
    let visits = visits();
    let orders = (0_u32..).zip(&visits).map(|(n, visit)| {
        let items = visit.iter().map(|&item| (item, 1.0 + item as f32)).collect();
        (n % 500, f64::from(n / 25) * DAY, items)
    });
    let orders = Orders::new(300, orders);
    let mut options = purchase::Options::default();
    options.forest.trees = 20;
    let model = NextPurchase::fit(&orders, &options);
    assert_eq!(model.learned(), (true, true), "the learned orders are part of what is counted");
    let histories = orders.by_customer();
    let (mut scratch, mut out) = (purchase::Scratch::default(), Vec::new());
    let mut round = || {
        let before = ALLOCATIONS.get();
        for (customer, visit) in (0_u32..).zip(visits.iter().take(1_000)) {
            let history: &[Line] = histories.of(customer % 600);
            let basket: &[u32] = if customer % 2 == 0 { visit } else { &[] };
            let query = purchase::Query { history, basket, now: orders.newest(), only_new: customer % 3 == 0 };
            model.predict(query, 20, &mut scratch, &mut out);
        }
        ALLOCATIONS.get() - before
    };
    assert!(round() > 0, "the first round grows its memory");
    assert_eq!(round(), 0);
}
