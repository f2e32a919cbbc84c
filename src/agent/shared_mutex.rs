//! Mutexes in memory that processes share, robust against the death of their owner.

use std::io;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Mutexes lie so far apart that they share no cache line, nor a pair that is fetched together.
const STRIDE: usize = 128;

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= STRIDE);

/// A mapping of process-shared, robust POSIX mutexes (`PTHREAD_PROCESS_SHARED`, `PTHREAD_MUTEX_ROBUST`).
pub(super) struct SharedMutexes {
    start: *mut std::ffi::c_void,
    count: usize,
}

// SAFETY: the mapping is plain memory that lives as long as the value; it is used through pthread
// functions alone, which any thread may call.
unsafe impl Send for SharedMutexes {}
// SAFETY: as above; mutexes are made to be used from several threads.
unsafe impl Sync for SharedMutexes {}

/// A locked mutex. It stays on its thread, which alone may unlock it.
pub(super) struct Held<'a> {
    mutex: *mut libc::pthread_mutex_t,
    _owner: PhantomData<(&'a SharedMutexes, *const ())>,
}

impl SharedMutexes {
    /// Makes `count` unlocked mutexes in memory of their own: its descriptor.
    pub(super) fn create(count: usize) -> io::Result<OwnedFd> {
        let memory = memfd_create("conbench-locks", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, (count * STRIDE) as u64)?;
        let mutexes = SharedMutexes::open(memory.as_fd(), count)?;
        (0..count).try_for_each(|position| initialise(mutexes.mutex(position)))?;
        Ok(memory)
    }

    /// Maps the mutexes that [`SharedMutexes::create`] made in any process.
    pub(super) fn open(memory: impl AsFd, count: usize) -> io::Result<SharedMutexes> {
        let length = count * STRIDE;
        if rustix::fs::fstat(&memory)?.st_size < length as i64 {
            return Err(io::Error::other("the shared memory is too small for the job's locks"));
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let start =
            unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, memory, 0) }?;
        Ok(SharedMutexes { start, count })
    }

    /// Locks mutex `position`. If its owner died, the mutex is made consistent and held all the same.
    pub(super) fn lock(&self, position: usize) -> io::Result<Held<'_>> {
        if position >= self.count {
            return Err(io::Error::other(format!("there is no shared lock {position}")));
        }
        let mutex = self.mutex(position);
        // SAFETY: `mutex` points to an initialised mutex within the mapping, which outlives the guard.
        let locked = match unsafe { libc::pthread_mutex_lock(mutex) } {
            // SAFETY: the same, and this thread now owns the mutex.
            libc::EOWNERDEAD => unsafe { libc::pthread_mutex_consistent(mutex) },
            locked => locked,
        };
        check(locked)?;
        Ok(Held { mutex, _owner: PhantomData })
    }

    fn mutex(&self, position: usize) -> *mut libc::pthread_mutex_t {
        self.start.wrapping_byte_add(position * STRIDE).cast()
    }
}

impl Drop for SharedMutexes {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and guards borrow the value. Unmapping a valid range
        // cannot fail.
        let _ = unsafe { munmap(self.start, self.count * STRIDE) };
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread locked the mutex, so unlocking cannot fail.
        unsafe { libc::pthread_mutex_unlock(self.mutex) };
    }
}

fn initialise(mutex: *mut libc::pthread_mutex_t) -> io::Result<()> {
    let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: the attributes are initialised before they are used and destroyed after; the mutex lies in
    // a mapping that nobody else knows yet.
    unsafe {
        check(libc::pthread_mutexattr_init(attributes))?;
        let made = check(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED))
            .and_then(|()| check(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST)))
            .and_then(|()| check(libc::pthread_mutex_init(mutex, attributes)));
        libc::pthread_mutexattr_destroy(attributes);
        made
    }
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_exclude_each_other() {
        let memory = SharedMutexes::create(2).expect("memory");
        let mappings = [0, 1].map(|_| SharedMutexes::open(&memory, 2).expect("maps"));
        let mut count = 0_u64;
        let shared = ptr::addr_of_mut!(count) as usize;
        std::thread::scope(|scope| {
            for mapping in &mappings {
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        let _held = mapping.lock(1).expect("locks");
                        // SAFETY: the lock excludes the other thread; the scope outlives neither.
                        unsafe {
                            let count = shared as *mut u64;
                            count.write_volatile(count.read_volatile() + 1);
                        }
                    }
                });
            }
        });
        assert_eq!(count, 40_000);
    }

    #[test]
    fn an_owner_that_dies_leaves_the_lock_usable() {
        let memory = SharedMutexes::create(1).expect("memory");
        let mutexes = SharedMutexes::open(&memory, 1).expect("maps");
        for _ in 0..3 {
            // SAFETY: the child only locks the process-shared mutex and ends, without unlocking it.
            let child = unsafe { libc::fork() };
            assert!(child >= 0, "forks");
            if child == 0 {
                // SAFETY: as above; neither call allocates or takes another lock.
                unsafe {
                    let locked = libc::pthread_mutex_lock(mutexes.mutex(0));
                    libc::_exit(if locked == 0 { 0 } else { 1 });
                }
            }
            let mut status = 0;
            // SAFETY: `child` is this process's own child, reaped once.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child held the lock when it ended");
            drop(mutexes.lock(0).expect("consistent again"));
            drop(mutexes.lock(0).expect("and unlocked"));
        }
    }

    #[test]
    fn memory_that_is_too_small_is_refused() {
        let memory = SharedMutexes::create(1).expect("memory");
        assert!(SharedMutexes::open(&memory, 2).is_err());
        assert!(SharedMutexes::open(&memory, 1).expect("maps").lock(1).is_err());
    }
}
