// SPDX-License-Identifier: GPL-2.0-or-later

import CArrow
import Glibc

// Streams in PyCapsules (https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html).

/// `ttla_stream_new`
@_cdecl("ttla_stream_new")
public func newStream() -> UnsafeMutablePointer<ArrowArrayStream> {
    let stream = UnsafeMutablePointer<ArrowArrayStream>.allocate(capacity: 1)
    stream.initialize(to: ArrowArrayStream())
    return stream
}

/// `ttla_capsule_destructor`: Python calls it.
///
/// The one function of Python that it needs is looked up in the process, so that the library needs no Python to build and
/// serves every version.
@_cdecl("ttla_capsule_destructor")
public func destroyCapsule(_ capsule: UnsafeMutableRawPointer?) {
    typealias GetPointer =
        @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?) -> UnsafeMutableRawPointer?
    guard let symbol = dlsym(nil, "PyCapsule_GetPointer") else { return }
    let getPointer = unsafeBitCast(symbol, to: GetPointer.self)
    guard let stream = getPointer(capsule, "arrow_array_stream")?.assumingMemoryBound(to: ArrowArrayStream.self) else {
        return
    }
    stream.pointee.release?(stream)
    stream.deallocate()
}
