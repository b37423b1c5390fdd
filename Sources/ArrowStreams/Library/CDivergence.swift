// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import CArrow
import Glibc

// Comparisons through the C interface (ttlogarrow.h).

/// The result of a comparison, which a handle keeps.
private final class Comparison {
    let json: DivergenceJSON

    init(_ json: DivergenceJSON) { self.json = json }
}

/// `ttla_diverge`
@_cdecl("ttla_diverge")
public func diverge(
    _ original: OpaquePointer?, _ replay: OpaquePointer?, _ context: Int32,
    _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<ttla_error>?
) -> Int32 {
    out?.pointee = nil
    return reporting(to: error) {
        guard let original = Handle<OpenLog>.object(original), let replay = Handle<OpenLog>.object(replay) else {
            throw RequestError.noStream("")
        }
        var options = AlignmentOptions()
        options.contextCount = Int(min(max(context, 1), 1 << 16))
        // Without context nobody reads the call stack, which costs most of a comparison.
        if context <= 0 { options.stackReach = 0 }
        let result = try align(original.file, replay.file, options: options)
        let comparison = Comparison(DivergenceJSON(result: result, original: original.file, replay: replay.file))
        out?.pointee = OpaquePointer(Unmanaged.passRetained(comparison).toOpaque())
    }
}

/// `ttla_divergence_json`
@_cdecl("ttla_divergence_json")
public func divergenceJSON(_ handle: OpaquePointer?) -> UnsafeMutablePointer<CChar>? {
    Handle<Comparison>.object(handle).flatMap { strdup($0.json.document.document) }
}

/// `ttla_divergence_stream`
@_cdecl("ttla_divergence_stream")
public func divergenceStream(_ handle: OpaquePointer?, _ out: UnsafeMutablePointer<ArrowArrayStream>?) {
    guard let out else { return }
    out.initialize(to: ArrowArrayStream())
    if let comparison = Handle<Comparison>.object(handle) {
        exportStream(DifferenceRow.source(comparison.json.result), to: out)
    }
}

/// `ttla_divergence_free`
@_cdecl("ttla_divergence_free")
public func freeDivergence(_ handle: OpaquePointer?) { Handle<Comparison>.release(handle) }
