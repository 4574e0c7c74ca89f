use super::*;

/// Returns the titles, those nearest to the first one first, with their cosines.
fn ranked<'a>(titles: &[&'a str]) -> Vec<(&'a str, f32)> {
    let mut learner = Learner::default();
    titles.iter().for_each(|title| learner.add([Part::Text(title, 1.0)]));
    let weights = learner.finish();
    let mut scratch = Scratch::default();
    let mut vector_of = |title| {
        let mut vector = [0.0; DIMS];
        weights.vector([Part::Text(title, 1.0)], &mut scratch, &mut vector);
        vector
    };
    let asked = vector_of(titles[0]);
    let mut found: Vec<(&str, f32)> = titles[1..].iter().map(|&title| (title, dot(&asked, &vector_of(title)))).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The first title, and `near` titles that must be nearer to it than the rest.
#[track_caller]
fn check(titles: &[&str], near: usize) {
    let found = ranked(titles);
    for (title, _) in &found[..near] {
        assert!(titles[1..=near].contains(title), "{}: {found:?}", titles[0]);
    }
}

#[test]
fn what_shares_words_is_near() {
    check(
        &[
            "RED RETROSPOT CAKE STAND",
            "PINK SPOTTY CAKE STAND",
            "REGENCY CAKESTAND 3 TIER",
            "WHITE METAL LANTERN",
            "HOT WATER BOTTLE TEA AND SYMPATHY",
            "JUMBO STORAGE BAG SUKI",
        ],
        2,
    );
}

#[test]
fn endings_compounds_and_misspellings_are_near() {
    check(&["wool blanket", "woollen blankets", "steel bucket", "paper plates", "silver spoon"], 1);
    check(&["Kinderfahrrad 20 Zoll", "Fahrrad für Kinder", "Gartenschlauch 20 m", "Kaffeemaschine"], 1);
    check(&["ceramic teapot", "cermaic tea pot", "ceiling lamp", "leather belt"], 1);
}

#[test]
fn chinese_japanese_and_korean_titles_have_sensible_neighbours() {
    check(&["红色棉布连衣裙", "蓝色雪纺连衣裙", "女士连衣裙夏季", "不锈钢保温杯", "儿童雨伞", "红木书架"], 2);
    check(&["赤いマグカップ", "白い陶器のマグカップ", "マグカップ 300ml", "赤ワイン用グラス", "木製ベンチ", "折りたたみ傘"], 2);
    check(&["빨간 머그컵", "도자기 머그컵", "머그컵을 위한 뚜껑", "나무 의자", "어린이 우산", "가죽 지갑"], 2);
}

#[test]
fn tags_count_as_a_whole() {
    let weights = Weights::default();
    let mut scratch = Scratch::default();
    let mut vector = |parts: &[Part<'_>]| {
        let mut vector = [0.0; DIMS];
        weights.vector(parts.iter().copied(), &mut scratch, &mut vector);
        vector
    };
    let north = vector(&[Part::Tag("brand", "North Shore", 1.0)]);
    let spelt = vector(&[Part::Tag("brand", "NORTH  shore", 1.0)]);
    let other = vector(&[Part::Tag("brand", "North Face", 1.0)]);
    let category = vector(&[Part::Tag("category", "North Shore", 1.0)]);
    assert_eq!(north, spelt);
    assert!(dot(&north, &other).abs() < 0.3 && dot(&north, &category).abs() < 0.3);
}

#[test]
fn nothing_to_go_by_is_no_direction() {
    let mut vector = [1.0; DIMS];
    Weights::default().vector([Part::Text(" – ", 1.0), Part::Tag("brand", "", 1.0)], &mut Scratch::default(), &mut vector);
    assert_eq!(vector, [0.0; DIMS]);
}

#[test]
fn vectors_are_of_length_one_and_always_the_same() {
    let make = || {
        let mut vector = [0.0; DIMS];
        Weights::default().vector([Part::Text("a blue kite", 1.0)], &mut Scratch::default(), &mut vector);
        vector
    };
    let vector = make();
    assert_eq!(vector, make());
    assert!((dot(&vector, &vector) - 1.0).abs() < 1e-5);
    // Whatever machine: kept vectors and freshly made ones meet in one list.
    let first: Vec<usize> = (0..DIMS).filter(|&at| vector[at] != 0.0).take(3).collect();
    assert!(!first.is_empty());
}

#[test]
fn unrelated_texts_are_as_far_apart_as_chance_allows() {
    let titles: Vec<String> = (0..200_u32).map(|n| format!("w{} x{} y{}", n * 7919, n * 104_729, n * 1_299_709)).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let found = ranked(&titles);
    assert!(found[0].1 < 0.35, "{:?}", found[0]);
}
