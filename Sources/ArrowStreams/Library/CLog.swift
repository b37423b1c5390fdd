// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import CArrow
import Glibc
import LogFormat
import Symbolize

// Logs through the C interface (ttlogarrow.h). A handle is a retained object.

/// `ttla_abi_version`
@_cdecl("ttla_abi_version")
public func abiVersion() -> Int32 { Int32(TTLA_ABI_VERSION) }

/// `ttla_free`
@_cdecl("ttla_free")
public func freeText(_ text: UnsafeMutablePointer<CChar>?) { free(text) }

/// `ttla_error_clear`
@_cdecl("ttla_error_clear")
public func clearError(_ error: UnsafeMutablePointer<ttla_error>?) {
    free(error?.pointee.message)
    free(error?.pointee.file)
    error?.pointee = ttla_error(message: nil, file: nil, offset: -1)
}

/// `ttla_open`
@_cdecl("ttla_open")
public func openLog(
    _ path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<ttla_error>?
) -> Int32 {
    out?.pointee = nil
    return reporting(to: error) {
        guard let path, let name = String(validatingCString: path) else { throw RequestError.notUTF8 }
        let log = OpenLog(try LogFile.open(anyFormat: name))
        out?.pointee = OpaquePointer(Unmanaged.passRetained(log).toOpaque())
    }
}

/// `ttla_close`
@_cdecl("ttla_close")
public func closeLog(_ handle: OpaquePointer?) { Handle<OpenLog>.release(handle) }

/// `ttla_describe`
@_cdecl("ttla_describe")
public func describeLog(_ handle: OpaquePointer?) -> UnsafeMutablePointer<CChar>? {
    Handle<OpenLog>.object(handle).flatMap { strdup($0.description.document) }
}

/// `ttla_count_missing`
@_cdecl("ttla_count_missing")
public func countMissing(_ handle: OpaquePointer?, _ out: UnsafeMutablePointer<ttla_missing>?) {
    guard let out else { return }
    let missing = Handle<OpenLog>.object(handle)?.missing ?? MissingParts()
    var whole = ttla_missing()
    whole.size = out.pointee.size
    whole.parts = UInt32(clamping: missing.parts)
    whole.chunks = UInt64(missing.chunks)
    whole.records = missing.records
    whole.bytes = missing.bytes
    whole.unwritten = missing.unwritten
    whole.truncated_at = missing.truncation.map { Int64(clamping: $0) } ?? -1
    // A caller that was built for another version knows fewer fields, or more.
    let size = min(Int(out.pointee.size), MemoryLayout<ttla_missing>.size)
    withUnsafeBytes(of: whole) { bytes in
        UnsafeMutableRawBufferPointer(start: out, count: size).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
    }
}

/// Objects that callers know by opaque pointers.
enum Handle<Object: AnyObject> {
    static func object(_ handle: OpaquePointer?) -> Object? {
        handle.map { Unmanaged<Object>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
    }

    static func release(_ handle: OpaquePointer?) {
        if let handle { Unmanaged<Object>.fromOpaque(UnsafeRawPointer(handle)).release() }
    }
}

/// Runs a function of the interface: its error goes to the caller.
func reporting(to place: UnsafeMutablePointer<ttla_error>?, _ body: () throws -> Void) -> Int32 {
    do {
        try body()
        return 0
    } catch {
        let offset = (error as? LogError)?.offset.flatMap { Int64(exactly: $0) } ?? -1
        let file = (error as? LogError)?.file ?? (error as? SymbolError)?.file ?? (error as? PlacementError)?.path
        place?.pointee = ttla_error(message: strdup("\(error)"), file: file.flatMap { strdup($0) }, offset: offset)
        return TTLA_FAILED
    }
}
