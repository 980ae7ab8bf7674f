//! What a keeper does with keys, and with a folder that has gone.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_keeps_keys_in_use_and_notices_an_unmounted_folder() {
    let house = House::new(2);
    let settings = house.settings();
    let House { stores, clock, orgs, generations, folder: _folder, .. } = house;
    let stores = Arc::new(stores);
    let keeper = Keeper::new(Arc::clone(&stores), settings, clock, "https://workrun.example.jp");
    // The system's key is a version ahead, and an organization's rotation was cut off before its file was rewritten.
    stores.keyring().rotate(&[KeyKind::System], NOON).unwrap();
    stores.keyring().rotate(&[KeyKind::Organization(orgs[0])], NOON).unwrap();
    let id = stores.keyring().organization_key(orgs[0]).unwrap().id();
    keeper.sweep_keys().await.unwrap();
    assert!(stores.keyring().key(id, 1).is_some(), "the file is still sealed under it");
    let path = stores.shelf().layout().organization_store(orgs[0]);
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    for (bytes, what) in [(b"????????", "cannot be read"), (b"WRKSTORE", "can be read again")] {
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).unwrap();
        keeper.sweep_keys().await.unwrap();
        assert!(stores.keyring().key(id, 1).is_some(), "a file that {what} may need it");
    }
    let new = stores.keyring().organization_key(orgs[0]).unwrap();
    stores.organization(orgs[0]).unwrap().rewrite(&new, &mut |_| {}).unwrap();
    keeper.sweep_keys().await.unwrap();
    assert!(stores.keyring().key(id, 1).is_none(), "nothing names it any more");

    keeper.mirror().await.unwrap();
    assert!(!generations.folder().exists(), "nothing is made before the first snapshot");
    keeper.take(true, false).await.unwrap();
    // A version between two snapshots, which a snapshot under way may be sealing with.
    for _ in 0..2 {
        stores.keyring().rotate(&[KeyKind::Organization(orgs[1])], NOON).unwrap();
        let new = stores.keyring().organization_key(orgs[1]).unwrap();
        stores.organization(orgs[1]).unwrap().rewrite(&new, &mut |_| {}).unwrap();
    }
    let id = stores.keyring().organization_key(orgs[1]).unwrap().id();
    let held = generations.hold().unwrap();
    keeper.sweep_keys().await.unwrap();
    assert!(stores.keyring().key(id, 2).is_some(), "somebody takes a snapshot");
    drop(held);
    keeper.sweep_keys().await.unwrap();
    assert!(stores.keyring().key(id, 1).is_some() && stores.keyring().key(id, 2).is_none());
    fs::rename(generations.folder(), generations.folder().with_extension("elsewhere")).unwrap();
    assert!(matches!(keeper.mirror().await, Err(BackupError::Lost(_))));
    for _ in 0..3 {
        assert!(matches!(keeper.take(true, false).await, Err(BackupError::Lost(_))));
    }
    let bad = keeper.reports(100).await.unwrap().into_iter().filter(|report| !report.is_good()).count();
    assert_eq!(bad, 1, "the same failure is kept once a day");
    assert!(keeper.alerts().contains(&"snapshot"));
    keeper.take(false, false).await.unwrap();
    keeper.take(true, false).await.unwrap();
    assert!(!keeper.alerts().contains(&"snapshot"));
}
