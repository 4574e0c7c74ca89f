use super::super::publish::{activate, active, list, previous, remove_drafts, remove_old, rollback, unreadable};
use super::*;

#[test]
fn an_empty_directory_publishes_nothing() {
    let dir = Dir::new();
    let absent = dir.0.join("absent");
    for models in [&dir.0, &absent] {
        assert_eq!(active(models).unwrap(), None);
        assert!(list(models).unwrap().is_empty());
        assert!(remove_old(models, 0).unwrap().is_empty());
        assert_eq!(remove_drafts(models).unwrap(), 0);
        assert!(matches!(rollback(models), Err(ArtifactError::NoPrevious { .. })));
        let unknown = activate(models, &id("2026-11-23T01-20Z-9f3a"));
        assert!(matches!(unknown, Err(ArtifactError::UnknownBuild { .. })));
    }
    assert!(!absent.exists());
}

#[test]
fn activate_and_rollback() {
    let dir = Dir::new();
    let (a, b, c) = (dir.build(1, 1), dir.build(2, 2), dir.build(3, 3));
    activate(&dir.0, &a).unwrap();
    assert_eq!(active(&dir.0).unwrap(), Some(a.clone()));
    assert!(matches!(rollback(&dir.0), Err(ArtifactError::NoPrevious { .. })));
    activate(&dir.0, &a).unwrap();
    assert_eq!(previous(&dir.0).unwrap(), None);

    activate(&dir.0, &b).unwrap();
    activate(&dir.0, &c).unwrap();
    activate(&dir.0, &c).unwrap();
    assert_eq!(previous(&dir.0).unwrap(), Some(b.clone()));
    assert_eq!(rollback(&dir.0).unwrap(), b);
    assert_eq!((active(&dir.0).unwrap(), previous(&dir.0).unwrap()), (Some(b.clone()), Some(c.clone())));
    assert_eq!(rollback(&dir.0).unwrap(), c);
    assert_eq!(fs::read_to_string(dir.0.join("active")).unwrap(), format!("{c}\n"));

    fs::remove_dir_all(dir.of(&b)).unwrap();
    assert!(matches!(rollback(&dir.0), Err(ArtifactError::UnknownBuild { .. })));
    assert_eq!(active(&dir.0).unwrap(), Some(c));
}

#[test]
fn a_damaged_pointer_is_reported_and_can_be_replaced() {
    let dir = Dir::new();
    let a = dir.build(1, 1);
    for damaged in ["", "../../etc", "2026"] {
        fs::write(dir.0.join("active"), damaged).unwrap();
        assert!(matches!(active(&dir.0), Err(ArtifactError::MalformedId { .. })));
        assert!(remove_old(&dir.0, 0).is_err());
        activate(&dir.0, &a).unwrap();
        assert_eq!(active(&dir.0).unwrap(), Some(a.clone()));
    }
}

#[test]
fn a_build_without_manifest_is_not_activated() {
    let dir = Dir::new();
    let (a, b) = (dir.build(1, 1), dir.build(2, 2));
    activate(&dir.0, &a).unwrap();
    fs::remove_file(dir.of(&b).join("manifest.json")).unwrap();
    assert!(matches!(activate(&dir.0, &b), Err(ArtifactError::Missing { .. })));
    assert_eq!(active(&dir.0).unwrap(), Some(a));
}

#[test]
fn list_is_newest_first_and_skips_what_is_no_build() {
    let dir = Dir::new();
    let (old, new, broken) = (dir.build(1, 10), dir.build(2, 20), dir.build(3, 30));
    fs::write(dir.of(&broken).join("manifest.json"), "{").unwrap();
    let mut draft = Draft::in_dir(&dir.0).unwrap();
    draft.write_slice("half.u8", &[1_u8]).unwrap();
    fs::create_dir(dir.0.join("notes")).unwrap();
    fs::write(dir.0.join("2026-11-23T01-20Z-0000"), "a file").unwrap();

    let ids: Vec<_> = list(&dir.0).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [new, old]);
    let passed_over: Vec<_> = unreadable(&dir.0).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(passed_over, [broken]);
}

#[test]
fn remove_old_keeps_the_newest_the_active_and_the_previous() {
    let dir = Dir::new();
    let ids: Vec<_> = (0..6).map(|n| dir.build(n, i64::from(n))).collect();
    activate(&dir.0, &ids[0]).unwrap();
    activate(&dir.0, &ids[2]).unwrap();
    let open = Artifact::open(dir.of(&ids[1])).unwrap();

    assert_eq!(remove_old(&dir.0, 2).unwrap(), [ids[3].clone(), ids[1].clone()]);
    let left: Vec<_> = list(&dir.0).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, [ids[5].clone(), ids[4].clone(), ids[2].clone(), ids[0].clone()]);
    assert_eq!(open.slice::<u32>("seed.u32").unwrap(), [1, 7, 9]);
    remove_old(&dir.0, 0).unwrap();
    assert_eq!(rollback(&dir.0).unwrap(), ids[0]);
}

#[test]
fn remove_drafts_spares_those_being_written() {
    let dir = Dir::new();
    let id = dir.build(1, 1);
    let mut alive = Draft::in_dir(&dir.0).unwrap();
    alive.write_slice("a.u8", &[1_u8]).unwrap();
    fs::create_dir(dir.0.join(".draft-1-1")).unwrap();
    fs::write(dir.0.join(".draft-1-1/half.u8"), [1]).unwrap();

    assert_eq!(remove_drafts(&dir.0).unwrap(), 1);
    assert!(!dir.0.join(".draft-1-1").exists());
    let other = alive.finish(manifest(), TIME).unwrap();
    Artifact::open(dir.of(&other)).unwrap();
    Artifact::open(dir.of(&id)).unwrap();
}
