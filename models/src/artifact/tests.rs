mod publishing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const TIME: &str = "2026-11-23T01-20Z";

/// A directory that goes away with the value.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rapport-artifact-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn of(&self, id: &BuildId) -> PathBuf {
        self.0.join(id.as_str())
    }

    /// Builds something that differs by `seed`, made at `created_at`.
    fn build(&self, seed: u32, created_at: i64) -> BuildId {
        let mut draft = Draft::in_dir(&self.0).unwrap();
        draft.write_slice("seed.u32", &[seed, 7, 9]).unwrap();
        draft.write_strings("items", ["shirt", "", "größe"].into_iter()).unwrap();
        draft.write_slice::<f32>("nothing.f32", &[]).unwrap();
        draft.finish(Manifest { created_at, ..manifest() }, TIME).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn manifest() -> Manifest {
    Manifest {
        rapport_version: "0.1.0".to_owned(),
        site: "default".to_owned(),
        window: Window { from: 1, to: 2 },
        counts: [("items".to_owned(), 3)].into(),
        log_position: [("node-1".to_owned(), u64::MAX)].into(),
        parameters: [("k".to_owned(), serde_json::json!(100))].into(),
        evaluation: [("mrr".to_owned(), 0.1 + 0.2)].into(),
        ..Manifest::default()
    }
}

fn id(text: &str) -> BuildId {
    BuildId::parse(text).unwrap()
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

/// Opens what must not open, and returns the message after checking that it is one line.
fn refusal(dir: &Path) -> String {
    let message = Artifact::open(dir).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn what_was_written_is_read_back() {
    let dir = Dir::new();
    let id = dir.build(1, 5);
    let artifact = Artifact::open(dir.of(&id)).unwrap();

    assert_eq!(*artifact.id(), id);
    assert!(id.as_str().starts_with(TIME), "{id}");
    assert_eq!(artifact.slice::<u32>("seed.u32").unwrap(), [1, 7, 9]);
    assert_eq!(artifact.slice::<f32>("nothing.f32").unwrap(), [0.0_f32; 0]);
    let strings = artifact.strings("items").unwrap();
    assert_eq!(strings.iter().collect::<Vec<_>>(), ["shirt", "", "größe"]);
    assert_eq!((strings.get(2), strings.get(3), strings.get(usize::MAX)), (Some("größe"), None, None));
    assert_eq!(artifact.manifest().log_position, manifest().log_position);
    assert_eq!(artifact.manifest().format_version, FORMAT_VERSION);
    assert_eq!(artifact.manifest().files.len(), 4);
    artifact.warm();
}

#[test]
fn the_files_are_flat_little_endian() {
    let dir = Dir::new();
    let id = dir.build(1, 5);
    let bytes = fs::read(dir.of(&id).join("seed.u32")).unwrap();
    assert_eq!(bytes, [1, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0]);
}

#[test]
fn a_list_of_no_strings_is_empty() {
    let dir = Dir::new();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    draft.write_strings("none", std::iter::empty()).unwrap();
    let id = draft.finish(manifest(), TIME).unwrap();
    let artifact = Arc::new(Artifact::open(dir.of(&id)).unwrap());
    assert!(artifact.strings("none").unwrap().is_empty());
    let view = StringsView::open(artifact, "none").unwrap();
    assert!(view.is_empty());
    assert_eq!((view.get(0), view.get(u32::MAX)), (None, None));
}

#[test]
fn a_view_of_strings_outlives_the_directory() {
    let dir = Dir::new();
    let id = dir.build(1, 5);
    let view = StringsView::open(Arc::new(Artifact::open(dir.of(&id)).unwrap()), "items").unwrap();
    fs::remove_dir_all(dir.of(&id)).unwrap();
    assert_eq!(view.iter().collect::<Vec<_>>(), ["shirt", "", "größe"]);
    assert_eq!((view.get(0), view.get(3)), (Some("shirt"), None));
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = Dir::new();
    let path = dir.of(&dir.build(1, 5));
    fs::write(path.join("seed.u32"), [1, 0, 0, 0, 7]).unwrap();
    let message = refusal(&path);
    assert!(message.contains("seed.u32 has 5 bytes where the manifest says 12"), "{message}");
}

#[test]
fn every_flipped_byte_is_refused() {
    let dir = Dir::new();
    let path = dir.of(&dir.build(1, 5));
    for file in ["seed.u32", "items.bytes", "items.offsets.u64"] {
        let whole = fs::read(path.join(file)).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(path.join(file), &damaged).unwrap();
            let message = refusal(&path);
            assert!(message.contains(&format!("{file} does not match its checksum")), "{message}");
        }
        fs::write(path.join(file), &whole).unwrap();
    }
    Artifact::open(&path).unwrap();
}

#[test]
fn a_missing_file_is_refused() {
    let dir = Dir::new();
    let path = dir.of(&dir.build(1, 5));
    fs::remove_file(path.join("nothing.f32")).unwrap();
    assert!(refusal(&path).contains("nothing.f32 is missing"));
    fs::create_dir(path.join("nothing.f32")).unwrap();
    assert!(refusal(&path).contains("nothing.f32 is missing"));
    fs::remove_file(path.join("manifest.json")).unwrap();
    assert!(refusal(&path).contains("manifest.json is missing"));
    fs::remove_dir_all(&path).unwrap();
    assert!(refusal(&path).contains("is missing"));
}

#[test]
fn another_format_version_is_refused_whatever_else_it_says() {
    let dir = Dir::new();
    let path = dir.of(&dir.build(1, 5));
    fs::write(path.join("manifest.json"), r#"{"format_version": 99, "files": "elsewhere"}"#).unwrap();
    let message = refusal(&path);
    assert!(message.contains("manifest.json has format version 99, this program reads 1"), "{message}");
    fs::write(path.join("manifest.json"), r#"{"format_version": 1, "#).unwrap();
    assert!(refusal(&path).contains("manifest.json is not a readable manifest"));
}

#[test]
fn a_manifest_cannot_name_files_elsewhere() {
    let dir = Dir::new();
    let path = dir.of(&dir.build(1, 5));
    let text = fs::read_to_string(path.join("manifest.json")).unwrap();
    fs::write(path.join("manifest.json"), text.replace("seed.u32", "../seed.u32")).unwrap();
    assert!(refusal(&path).contains("cannot name a file of a build"));
}

#[test]
fn a_file_of_the_wrong_type_is_refused() {
    let dir = Dir::new();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    draft.write_slice::<u8>("odd.u8", &[1, 2, 3, 4, 5]).unwrap();
    let id = draft.finish(manifest(), TIME).unwrap();
    let artifact = Artifact::open(dir.of(&id)).unwrap();
    let message = artifact.slice::<u32>("odd.u8").unwrap_err().to_string();
    assert!(message.contains("`odd.u8` is not usable: its 5 bytes are not a whole number of 4-byte"), "{message}");
    assert!(matches!(artifact.slice::<u8>("absent"), Err(ArtifactError::NotInBuild { .. })));
    assert!(matches!(artifact.strings("absent"), Err(ArtifactError::NotInBuild { .. })));
}

#[test]
fn wrong_strings_are_refused() {
    let cases: [(&[u8], &[u64], &str); 6] = [
        (b"ab", &[], "empty"),
        (b"ab", &[1, 2], "start at 0"),
        (b"ab", &[0, 1], "end where the bytes end"),
        (b"ab", &[0, 2, 1, 2], "smaller than the one before"),
        (b"a\xff", &[0, 2], "not UTF-8"),
        ("ö".as_bytes(), &[0, 1, 2], "inside a character"),
    ];
    for (bytes, offsets, reason) in cases {
        let dir = Dir::new();
        let mut draft = Draft::in_dir(&dir.0).unwrap();
        draft.write_slice("s.bytes", bytes).unwrap();
        draft.write_slice("s.offsets.u64", offsets).unwrap();
        let id = draft.finish(manifest(), TIME).unwrap();
        let message = Artifact::open(dir.of(&id)).unwrap().strings("s").unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn neighbors_are_read_back_and_no_index_panics() {
    let dir = Dir::new();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    write_neighbors(&mut draft, "also_bought", &[0, 2, 2, 3], &[1, 2, 0], &[0.5, 0.25, 1.0], &[5, 2, 9]).unwrap();
    write_neighbors(&mut draft, "none", &[0], &[], &[], &[]).unwrap();
    let id = draft.finish(manifest(), TIME).unwrap();
    let artifact = Arc::new(Artifact::open(dir.of(&id)).unwrap());

    let view = NeighborsView::open(Arc::clone(&artifact), "also_bought").unwrap();
    assert_eq!((view.n_items(), view.n_entries()), (3, 3));
    assert_eq!(view.row(0), Row { items: &[1, 2], scores: &[0.5, 0.25], support: &[5, 2] });
    assert!(view.row(1).is_empty());
    assert_eq!(view.row(2), Row { items: &[0], scores: &[1.0], support: &[9] });
    assert!(view.row(3).is_empty() && view.row(u32::MAX).is_empty());

    let none = NeighborsView::open(Arc::clone(&artifact), "none").unwrap();
    assert!(none.n_items() == 0 && none.row(0).is_empty());
    assert!(matches!(NeighborsView::open(artifact, "absent"), Err(ArtifactError::NotInBuild { .. })));
}

#[test]
fn broken_neighbors_are_refused_when_written_and_when_opened() {
    type Case = (&'static [u32], &'static [u32], &'static [f32], &'static [u32], &'static str);
    let cases: [Case; 9] = [
        (&[], &[], &[], &[], "x.indptr.u32` is not usable: it is empty"),
        (&[1, 1], &[0], &[1.0], &[1], "starts at 1"),
        (&[0, 2, 1, 2], &[0, 1], &[1.0; 2], &[1; 2], "row 1 ends before it starts"),
        (&[0, 2], &[0], &[1.0], &[1], "x.items.u32` is not usable: it has 1 values for 2"),
        (&[0, 1], &[0, 0], &[1.0; 2], &[1; 2], "x.items.u32` is not usable: it has 2 values for 1"),
        (&[0, 1], &[0], &[], &[1], "x.scores.f32"),
        (&[0, 1], &[0], &[1.0], &[1, 1], "x.support.u32"),
        (&[0, 1], &[1], &[1.0], &[1], "names item 1 of 1"),
        (&[0, 1], &[0], &[f32::NAN], &[1], "not finite"),
    ];
    for (indptr, items, scores, support, reason) in cases {
        let dir = Dir::new();
        let mut draft = Draft::in_dir(&dir.0).unwrap();
        let refused = write_neighbors(&mut draft, "x", indptr, items, scores, support).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");

        draft.write_slice("x.indptr.u32", indptr).unwrap();
        draft.write_slice("x.items.u32", items).unwrap();
        draft.write_slice("x.scores.f32", scores).unwrap();
        draft.write_slice("x.support.u32", support).unwrap();
        let id = draft.finish(manifest(), TIME).unwrap();
        let artifact = Arc::new(Artifact::open(dir.of(&id)).unwrap());
        let refused = NeighborsView::open(artifact, "x").unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

#[test]
fn a_dropped_draft_leaves_nothing() {
    let dir = Dir::new();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    draft.write_slice("a.u8", &[1_u8]).unwrap();
    assert_eq!(entries(&dir.0), 1);
    drop(draft);
    assert_eq!(entries(&dir.0), 0);
}

#[test]
fn a_draft_refuses_what_could_not_be_read_back() {
    let dir = Dir::new();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    for name in ["", ".hidden", "../up", "a/b", "a b", "manifest.json", "a\0", &"x".repeat(101)] {
        assert!(matches!(draft.write_slice(name, &[1_u8]), Err(ArtifactError::FileName { .. })), "{name}");
    }
    draft.write_slice("a.u8", &[1_u8]).unwrap();
    assert!(draft.write_slice("a.u8", &[2_u8]).unwrap_err().to_string().contains("written already"));

    let evaluation = [("mrr".to_owned(), f64::NAN)].into();
    let refused = draft.finish(Manifest { evaluation, ..manifest() }, TIME).unwrap_err();
    assert!(refused.to_string().contains("`mrr` is not finite"));
    for time in ["", "now", "2026-11-23T01:20Z", "../2026-11-23T01-20Z", "2026-11-23T01-20Z-"] {
        let refused = Draft::in_dir(&dir.0).unwrap().finish(manifest(), time).unwrap_err();
        assert!(matches!(refused, ArtifactError::MalformedTime { .. }), "{time}");
    }
    assert_eq!(entries(&dir.0), 0);
}

#[test]
fn the_same_build_is_kept_once() {
    let dir = Dir::new();
    let first = dir.build(1, 5);
    assert_eq!(dir.build(1, 6), first);
    assert_eq!(entries(&dir.0), 1);

    // Damaged, it is no longer the same; and a manifest that says something else is another build.
    fs::write(dir.of(&first).join("seed.u32"), [0; 12]).unwrap();
    let second = dir.build(1, 5);
    assert_eq!(second.as_str(), format!("{first}-2"));
    assert_eq!(dir.build(1, 7), second);
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    draft.write_slice("seed.u32", &[1_u32, 7, 9]).unwrap();
    draft.write_strings("items", ["shirt", "", "größe"].into_iter()).unwrap();
    draft.write_slice::<f32>("nothing.f32", &[]).unwrap();
    let third = draft.finish(Manifest { site: "other".to_owned(), ..manifest() }, TIME).unwrap();
    assert_eq!(third.as_str(), format!("{first}-3"));
    assert_ne!(dir.build(2, 5).as_str()[..22], first.as_str()[..22]);
}

#[test]
fn malformed_ids_are_refused() {
    for text in [
        "",
        ".",
        "..",
        "active",
        "../2026-11-23T01-20Z-9f3a",
        "2026-11-23T01-20Z-9f3a/",
        "2026-11-23T01-20Z-9f3a/../x",
        "2026-11-23T01-20Z-9F3A",
        "2026-11-23T01-20Z-9f3",
        "2026-11-23T01-20Z-9f3a-",
        "2026-11-23T01-20Z-9f3a-1",
        "2026-11-23T01-20Z-9f3a-02",
        "2026-11-23T01-20Z-9f3a-+2",
        "2026-11-23T01-20Z-9f3a\n",
        "2026-11-23T01-20Z-9f3a\0",
        "2026-11-23Z-9f3a",
        "２026-11-23T01-20Z-9f3a",
    ] {
        let refused = BuildId::parse(text).unwrap_err();
        assert!(matches!(refused, ArtifactError::MalformedId { .. }));
        assert!(!refused.to_string().contains(['\n', '\0']));
        assert!(serde_json::from_value::<BuildId>(serde_json::json!(text)).is_err());
    }
    for text in ["2026-11-23T01-20Z-9f3a", "2026-11-23T01-20-59Z-9f3a", "2026-11-23T01-20Z-9f3a-12"] {
        assert_eq!(id(text).as_str(), text);
    }
}

#[test]
fn columns_and_values_read_the_same_from_memory_and_from_a_build() {
    let dir = Dir::new();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    let column = Column::from(vec![3_u32, 1, 4]);
    column.save(&mut draft, "pi.u32").unwrap();
    draft.write_value("options.json", &[0.5, 2.0]).unwrap();
    let id = draft.finish(Manifest::default(), TIME).unwrap();
    let artifact = Arc::new(Artifact::open(dir.of(&id)).unwrap());
    let opened = Column::<u32>::open(&artifact, "pi.u32").unwrap();
    assert_eq!((&opened[..], opened == column), (&[3, 1, 4][..], true));
    assert_eq!(artifact.value::<Vec<f64>>("options.json").unwrap(), [0.5, 2.0]);
    assert!(matches!(artifact.value::<Vec<String>>("options.json"), Err(ArtifactError::Shape { .. })));
    assert!(matches!(Column::<u32>::open(&artifact, "tau.u32"), Err(ArtifactError::NotInBuild { .. })));
}
