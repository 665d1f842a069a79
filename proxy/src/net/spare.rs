//! A thread's free list of small buffers, for request heads and for what a socket did not take.
//!
//! With it an idle connection holds no memory and a busy one does not allocate.

use std::cell::RefCell;

/// A buffer that grew beyond this many bytes is freed and not kept.
const LARGEST: usize = 64 * 1024;

/// How many buffers a thread keeps: at most 1 MiB.
const KEPT: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, with the capacity of an earlier use where there is one.
pub fn take() -> Vec<u8> {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a buffer back; its content is forgotten.
pub fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > LARGEST {
        return;
    }
    buffer.clear();
    // Connections are dropped with their thread too, when the list may already be gone: then the buffer is just freed.
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_capacity() {
        let mut buffer = Vec::with_capacity(4096);
        buffer.extend_from_slice(b"secret");
        give(buffer);
        let again = take();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), 4096);
    }

    #[test]
    fn neither_large_buffers_nor_many_are_kept() {
        give(Vec::with_capacity(LARGEST + 1));
        assert_eq!(take().capacity(), 0);
        for _ in 0..KEPT + 5 {
            give(Vec::with_capacity(1));
        }
        assert_eq!(FREE.with_borrow(Vec::len), KEPT);
    }
}
