//! Repeated ids, on a real store: known again for five days, then forgotten.

use super::*;
use crate::{
    ids::{BoardId, OrgId},
    seal::{DataKey, KeyId},
    store::Store,
    text::Name,
    work::Template,
};

use super::super::{
    endpoint::{Address, Hook, NewHook},
    signature::Scheme,
};

const NOW: Timestamp = Timestamp(1_795_316_400_000);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_id_is_known_for_five_days_and_then_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = DataKey::fresh(KeyId([1; 16]), 1);
    let store = Store::create(&folder.path().join("org.store"), key, 1 << 20).expect("a store");
    let board = Template::Tasks.board(BoardId::fresh(NOW), "仕事", NOW, str::to_owned);
    let new = NewHook {
        id: HookId::fresh(NOW),
        board: board.id,
        name: Name::parse("受付").expect("a name"),
        scheme: Scheme::SecretUrl,
        secret: None,
        mapping: None,
        address: Address::fresh(OrgId::fresh(NOW)),
    };
    let made = board.clone();
    let hook: Result<Hook, WorkError> = store
        .submit(1, move |txn| {
            work::change(txn, Actor::System, NOW, &Command::CreateBoard(made.clone()))?;
            super::super::endpoint::create(txn, NOW, Actor::System, &new)
        })
        .await;
    let hook = hook.expect("an endpoint");
    let target = Target::of(hook.clone(), board, 60);
    let post = async |at: Timestamp, sender_id: &str| {
        let (id, card) = (DeliveryId::fresh(at), CardId::fresh(at));
        let body = Body { content_type: None, headers: Vec::new(), bytes: br#"{"title":"x"}"#.to_vec() };
        let plan = plan(&target, &body, id, card, &|| Title::from(hook.id));
        let sender_id = Some(sender_id.to_owned());
        let incoming = Incoming { id, card, hook: hook.id, at, sender_id, signed: false, body, plan };
        store.submit(1, move |txn| receive(txn, &incoming)).await.expect("taken in")
    };
    let forget = async |at: Timestamp| {
        let looked_at: Result<usize, StoreError> = store.submit(1, move |txn| forget_old_ids(txn, at)).await;
        looked_at.expect("forgotten")
    };

    let first = post(NOW, "a").await;
    post(NOW, "b").await;
    assert!(!first.duplicate);
    let again = post(NOW.plus(DAY * 4), "a").await;
    assert!(again.duplicate);
    assert_eq!(again.delivery, first.delivery);
    assert!(post(NOW.minus(DAY), "a").await.duplicate, "also after the clock was set back");
    assert!(!post(NOW.plus(DAY * 5), "a").await.duplicate, "after five days it is new, tidied up or not");

    assert_eq!(forget(NOW.plus(DAY * 4)).await, 0, "nothing is old enough");
    assert_eq!(forget(NOW.plus(DAY * 6)).await, 2, "the first two, up to the first that is not old enough");
    assert!(post(NOW.plus(DAY * 6), "a").await.duplicate, "its later delivery is remembered in its own right");
    assert!(!post(NOW.plus(DAY * 6), "b").await.duplicate);
    assert_eq!(forget(NOW.plus(DAY * 6)).await, 0, "what was forgotten is not looked at again");
}
