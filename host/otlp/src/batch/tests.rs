use super::*;

#[test]
fn a_cleared_batch_keeps_what_usual_batches_need_and_no_more() {
    let span = [0x12, 0x14, 0x0a, 0x10, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0x4a, 0];
    let load = |batch: &mut Batch, spans: usize| {
        let mut body = Vec::new();
        let (mut scope_spans, mut resource_spans) = (Vec::new(), Vec::new());
        crate::wire::put_bytes(&mut scope_spans, 2, &span.repeat(spans));
        crate::wire::put_bytes(&mut resource_spans, 1, &scope_spans);
        body.append(&mut resource_spans);
        let request = Incoming { body: Bytes::from(body), context: Arc::default() };
        assert_eq!(batch.load(&[request]), [Ok(())]);
        assert_eq!(batch.rows() as usize, spans);
    };
    let mut batch = Batch::new();
    load(&mut batch, 4096);
    let usual = batch.spans.capacity();
    batch.clear();
    assert_eq!(batch.spans.capacity(), usual);
    load(&mut batch, 100_000);
    batch.arena = vec![0; 3 * KEPT];
    assert!(batch.held_bytes() > 6 * KEPT);
    batch.clear();
    assert_eq!(batch.held_bytes(), 0);
    assert!(batch.spans.capacity() * size_of::<Span>() <= KEPT);
    assert!(batch.attributes.capacity() * size_of::<Attribute>() <= KEPT);
    assert!(batch.arena.capacity() <= KEPT);
}

#[test]
fn a_full_arena_takes_no_more_and_what_it_has_stays() {
    // Zeroed memory that nobody writes to is not taken from the system.
    let mut batch = Batch { arena: vec![0; MOST_ARENA - 2], ..Batch::default() };
    assert_eq!(batch.put(b"abc"), Slice::EMPTY);
    assert_eq!(batch.arena.len(), MOST_ARENA - 2);
    let last = batch.arena_at();
    let empty = batch.put(b"");
    assert_eq!((empty.at, empty.len), (last, 0));
    assert_eq!(batch.get(empty), b"");
}

#[test]
fn a_root_has_no_parent_or_one_of_zeros() {
    let parent = |id: &[u8]| {
        let mut span = vec![0x0a, 0x10];
        span.extend([7; 16]);
        crate::wire::put_bytes(&mut span, 4, id);
        let (mut scope_spans, mut resource_spans, mut body) = (Vec::new(), Vec::new(), Vec::new());
        crate::wire::put_bytes(&mut scope_spans, 2, &span);
        crate::wire::put_bytes(&mut resource_spans, 2, &scope_spans);
        crate::wire::put_bytes(&mut body, 1, &resource_spans);
        let mut batch = Batch::new();
        assert_eq!(batch.load(&[Incoming { body: body.into(), context: Arc::default() }]), [Ok(())]);
        batch.parent(&batch.spans()[0]).map(<[u8]>::to_vec)
    };
    assert_eq!(parent(&[]), None);
    assert_eq!(parent(&[0; 8]), None);
    assert_eq!(parent(&[0, 0, 0, 0, 0, 0, 0, 1]), Some(vec![0, 0, 0, 0, 0, 0, 0, 1]));
}
