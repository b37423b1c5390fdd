// SPDX-License-Identifier: GPL-2.0-or-later
//! Prints the most frequent targets of branches of a log, through the C interface of libttlogarrow.so. Without crates.
//!
//!     scripts/build-arrow-library
//!     rustc -O --edition 2021 Examples/arrow/targets.rs -L .build-arrow/release -l ttlogarrow
//!     LD_LIBRARY_PATH=.build-arrow/release ./targets run/
//!
//! With the crate `arrow`, `FFI_ArrowArrayStream` takes the place of `ArrowArrayStream` below: give its address to
//! `ttla_stream`, and make an `ArrowArrayStreamReader` of it, which yields record batches.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::{env, mem, process, ptr, slice};

/// The structures of the Arrow C interfaces (arrow_abi.h). A structure without `release` is empty.
#[repr(C)]
struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *const *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct ArrowArrayStream {
    get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut c_void) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    private_data: *mut c_void,
}

/// What this program uses of ttlogarrow.h.
#[repr(C)]
struct Error {
    message: *mut c_char,
    file: *mut c_char,
    offset: i64,
}

#[repr(C)]
struct Request {
    size: u32,
    flags: u32,
    vcpu: i32,
    reserved: u32,
    from: u64,
    to: u64,
    columns: *const c_char,
    kinds: *const c_char,
    symbols: *mut c_void,
}

extern "C" {
    fn ttla_open(path: *const c_char, out: *mut *mut c_void, error: *mut Error) -> i32;
    fn ttla_close(log: *mut c_void);
    fn ttla_stream(
        log: *mut c_void, name: *const c_char, request: *const Request, out: *mut ArrowArrayStream, error: *mut Error,
    ) -> i32;
    fn ttla_error_clear(error: *mut Error);
}

/// A batch of one column of 64-bit integers.
struct Batch(ArrowArray);

impl Batch {
    fn values(&self) -> &[i64] {
        // The column `to` has no nulls: buffer 0, the validity bitmap, is not there.
        unsafe {
            let column = &**self.0.children;
            let values = *column.buffers.add(1) as *const i64;
            slice::from_raw_parts(values.offset(column.offset as isize), column.length as usize)
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            unsafe { release(&mut self.0) }
        }
    }
}

/// The targets of all branches of a log, batch after batch.
struct Targets(ArrowArrayStream);

impl Targets {
    fn open(path: &str) -> Result<Targets, String> {
        let path = CString::new(path).map_err(|error| error.to_string())?;
        let columns = CString::new("to").unwrap();
        let name = CString::new("branches").unwrap();
        let request = Request {
            size: mem::size_of::<Request>() as u32, flags: 0, vcpu: -1, reserved: 0, from: 0, to: u64::MAX,
            columns: columns.as_ptr(), kinds: ptr::null(), symbols: ptr::null_mut(),
        };
        let mut log = ptr::null_mut();
        let mut error = Error { message: ptr::null_mut(), file: ptr::null_mut(), offset: -1 };
        unsafe {
            let mut stream = mem::zeroed::<ArrowArrayStream>();
            let mut status = ttla_open(path.as_ptr(), &mut log, &mut error);
            if status == 0 {
                status = ttla_stream(log, name.as_ptr(), &request, &mut stream, &mut error);
                ttla_close(log); // the stream keeps it open
            }
            if status != 0 {
                let message = text(error.message);
                ttla_error_clear(&mut error);
                return Err(message);
            }
            Ok(Targets(stream))
        }
    }
}

impl Iterator for Targets {
    type Item = Result<Batch, String>;

    /// After an error, the stream ends or goes on after the damage.
    fn next(&mut self) -> Option<Self::Item> {
        unsafe {
            let mut array = mem::zeroed::<ArrowArray>();
            if self.0.get_next?(&mut self.0, &mut array) != 0 {
                return Some(Err(text(self.0.get_last_error?(&mut self.0))));
            }
            array.release.map(|_| Ok(Batch(array)))
        }
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            unsafe { release(&mut self.0) }
        }
    }
}

unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() { String::new() } else { CStr::from_ptr(pointer).to_string_lossy().into_owned() }
}

fn count(path: &str) -> Result<(), String> {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for batch in Targets::open(path)? {
        for &target in batch?.values() {
            // An address above 2^63 is negative; its bits are right.
            *counts.entry(target as u64).or_default() += 1;
        }
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by_key(|&(target, count)| (u64::MAX - count, target));
    for (target, count) in sorted.iter().take(3) {
        println!("{target:#x} {count}");
    }
    Ok(())
}

fn main() {
    let result = match env::args().nth(1) {
        Some(path) => count(&path),
        None => Err("usage: targets LOG".to_string()),
    };
    if let Err(message) = result {
        eprintln!("targets: {message}");
        process::exit(2);
    }
}
