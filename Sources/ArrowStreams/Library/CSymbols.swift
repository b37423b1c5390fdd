// SPDX-License-Identifier: GPL-2.0-or-later

import BranchAnalysis
import CArrow
import Glibc
import Symbolize

// Symbol files through the C interface (ttlogarrow.h).

/// `ttla_symbols_open`
@_cdecl("ttla_symbols_open")
public func openSymbols(
    _ log: OpaquePointer?, _ files: UnsafePointer<ttla_symbol_files>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<ttla_error>?
) -> Int32 {
    out?.pointee = nil
    return reporting(to: error) {
        guard let files else { throw RequestError.requestSize(0) }
        let symbols = try RunSymbols(RunSymbols.Files(files.pointee), log: Handle<OpenLog>.object(log)?.file)
        out?.pointee = OpaquePointer(Unmanaged.passRetained(symbols).toOpaque())
    }
}

/// `ttla_symbols_describe`
@_cdecl("ttla_symbols_describe")
public func describeSymbols(_ handle: OpaquePointer?) -> UnsafeMutablePointer<CChar>? {
    Handle<RunSymbols>.object(handle).flatMap { strdup($0.description.document) }
}

/// `ttla_symbols_close`
@_cdecl("ttla_symbols_close")
public func closeSymbols(_ handle: OpaquePointer?) { Handle<RunSymbols>.release(handle) }

/// `ttla_names`
@_cdecl("ttla_names")
public func nameAddresses(
    _ handle: OpaquePointer?, _ addresses: UnsafePointer<UInt64>?, _ count: Int64, _ validity: UnsafePointer<UInt8>?,
    _ offset: Int64, _ columns: UnsafePointer<CChar>?, _ flags: UInt32, _ out: UnsafeMutablePointer<ArrowArrayStream>?,
    _ error: UnsafeMutablePointer<ttla_error>?
) -> Int32 {
    out?.initialize(to: ArrowArrayStream())
    return reporting(to: error) {
        guard let out, let symbols = Handle<RunSymbols>.object(handle) else { throw RequestError.noStream("") }
        var request = StreamRequest()
        request.columns = try StreamRequest.names(columns) ?? ["address"] + NameAspect.allCases.map(\.rawValue)
        request.usesPlainText = flags & UInt32(TTLA_PLAIN_STRINGS) != 0
        let copied = copy(addresses, count)
        var isKnown: [Bool] = []
        if let validity {
            isKnown = copied.indices.map { index in
                let bit = Int(offset) &+ index
                return validity[bit >> 3] >> UInt8(bit & 7) & 1 == 1
            }
        }
        let known = isKnown
        let source = try NamedSource([AddressSource.column], request, symbols) { _ throws(RequestError) in
            AddressSource(copied, isKnown: known)
        }
        exportStream(source, to: out)
    }
}

/// `ttla_frames`
@_cdecl("ttla_frames")
public func listFrames(
    _ handle: OpaquePointer?, _ addresses: UnsafePointer<UInt64>?, _ count: Int64, _ columns: UnsafePointer<CChar>?,
    _ out: UnsafeMutablePointer<ArrowArrayStream>?, _ error: UnsafeMutablePointer<ttla_error>?
) -> Int32 {
    out?.initialize(to: ArrowArrayStream())
    return reporting(to: error) {
        guard let out, let symbols = Handle<RunSymbols>.object(handle) else { throw RequestError.noStream("") }
        var request = StreamRequest()
        request.columns = try StreamRequest.names(columns)
        exportStream(try FrameSource(copy(addresses, count), symbols, request), to: out)
    }
}

// MARK: - Arguments

private func copy(_ addresses: UnsafePointer<UInt64>?, _ count: Int64) -> [UInt64] {
    guard let addresses, count > 0 else { return [] }
    return [UInt64](UnsafeBufferPointer(start: addresses, count: Int(count)))
}

extension RunSymbols.Files {
    fileprivate init(_ files: ttla_symbol_files) throws {
        guard files.size >= UInt32(MemoryLayout<ttla_symbol_files>.size) else {
            throw RequestError.requestSize(files.size)
        }
        func text(_ pointer: UnsafePointer<CChar>?) throws(RequestError) -> String? {
            guard let pointer else { return nil }
            guard let text = String(validatingCString: pointer) else { throw .notUTF8 }
            return text
        }
        func list(_ pointer: UnsafePointer<UnsafePointer<CChar>?>?) throws(RequestError) -> [String] {
            var (found, place): ([String], Int) = ([], 0)
            while let pointer, let name = try text(pointer[place]) {
                found.append(name)
                place += 1
            }
            return found
        }
        kernels = try list(files.kernels)
        programs = try list(files.programs)
        modules = try text(files.modules)
        moduleList = try text(files.module_list)
        cache = files.flags & UInt32(TTLA_NO_CACHE) != 0 ? .off : .standard
        demangles = files.flags & UInt32(TTLA_LINKAGE_NAMES) == 0
        switch try text(files.kaslr) {
        case nil, "auto": kaslr = .auto
        case "off": kaslr = .off
        case let number?:
            guard let slide = SymbolFile.slide(number) else { throw RequestError.noSlide(number) }
            kaslr = .slide(slide)
        }
    }
}
