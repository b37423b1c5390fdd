// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Writes what addresses are as `addr2line` and `llvm-symbolizer` do, so that scripts can swap this in.
///
/// One address gives, in style ``Style/addr2line``, for each frame a line with the function (when asked for) and one
/// with `file:line`, `??` where something is not known; in style ``Style/json`` one object as llvm-symbolizer's
/// `--output-style=JSON` prints it (columns and discriminators are not kept, they are 0).
public struct AddressFormatter: Sendable {
    public enum Style: Sendable { case addr2line, json }

    public var style = Style.addr2line
    /// Function names (addr2line's `-f`).
    public var functions = false
    /// The functions that an inlined one was inlined into (`-i`).
    public var inlines = false
    /// The address before its answer (`-a`).
    public var addresses = false
    /// File names without their directories (`-s`).
    public var basenames = false

    private let lookup: SymbolLookup
    private let modules: [ModuleInfo]

    public init(_ symbolizer: Symbolizer) {
        lookup = symbolizer.lookup
        modules = symbolizer.modules
    }

    /// Appends the answer for one address of the run.
    public func append(_ address: UInt64, to text: inout TextBuffer) {
        let hit = lookup.find(address)
        switch style {
        case .addr2line: appendLines(address, hit, to: &text)
        case .json: appendObject(address, hit, to: &text)
        }
    }

    /// Appends the answers for many addresses of the run, each on lines of its own; `nil` for what is not an address.
    public func append(_ addresses: [UInt64?], to text: inout TextBuffer) {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: SymbolLookup.batchSize) { asked in
            withUnsafeTemporaryAllocation(of: SymbolHit.self, capacity: SymbolLookup.batchSize) { hits in
                for first in stride(from: 0, to: addresses.count, by: SymbolLookup.batchSize) {
                    let size = min(SymbolLookup.batchSize, addresses.count &- first)
                    for at in 0..<size { asked[at] = addresses[first &+ at] ?? 0 }
                    lookup.find(UnsafeBufferPointer(rebasing: asked[..<size]), into: hits)
                    for at in 0..<size where addresses[first &+ at] == nil { hits[at] = .unknown }
                    lookup.prefetchChains(UnsafeBufferPointer(rebasing: hits[..<size]), texts: true)
                    for at in 0..<size {
                        switch style {
                        case .addr2line: appendLines(asked[at], hits[at], to: &text)
                        case .json:
                            appendObject(asked[at], hits[at], to: &text)
                            text.append(0x0a)
                        }
                    }
                }
            }
        }
    }

    // MARK: - addr2line

    private func appendLines(_ address: UInt64, _ hit: SymbolHit, to text: inout TextBuffer) {
        if addresses {
            text.append("0x")
            text.appendHexadecimal(address, digits: 16)
            text.append(0x0a)
        }
        var isFirst = true
        lookup.forEachFrame(hit) { frame in
            guard inlines || isFirst else { return }
            isFirst = false
            if functions {
                lookup.withFunctionName(frame) { text.append($0, orElse: "??") }
                text.append(0x0a)
            }
            lookup.withFile(frame) { text.append(shortened($0), orElse: "??") }
            text.append(0x3a)
            // A file whose line is not known has line `?` in addr2line, an unknown file has line 0.
            if frame.line == 0 && frame.hasFile { text.append("?") } else { text.appendDecimal(UInt64(frame.line)) }
            text.append(0x0a)
        }
        if isFirst { text.append(functions ? "??\n??:0\n" : "??:0\n") }
    }

    private func shortened(_ path: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        guard basenames, let slash = path.lastIndex(of: 0x2f) else { return path }
        return UnsafeBufferPointer(rebasing: path[(slash + 1)...])
    }

    // MARK: - JSON

    private func appendObject(_ address: UInt64, _ hit: SymbolHit, to text: inout TextBuffer) {
        text.append("{\"Address\":\"0x")
        text.appendHexadecimal(address, digits: 1)
        text.append("\",\"ModuleName\":\"")
        if hit.isKnown { text.appendEscaped(modules[Int(hit.module)].path) }
        text.append("\",\"Symbol\":[")
        var isFirst = true
        lookup.forEachFrame(hit) { frame in
            guard inlines || isFirst else { return }
            if !isFirst { text.append(0x2c) }
            isFirst = false
            text.append("{\"Column\":0,\"Discriminator\":0,\"FileName\":\"")
            lookup.withFile(frame) { text.appendEscaped(shortened($0)) }
            text.append("\",\"FunctionName\":\"")
            lookup.withFunctionName(frame) { text.appendEscaped($0) }
            text.append("\",\"Line\":")
            text.appendDecimal(UInt64(frame.line))
            text.append(",\"StartAddress\":\"")
            if let start = lookup.start(frame, of: hit) {
                text.append("0x")
                text.appendHexadecimal(start, digits: 1)
            }
            text.append("\",\"StartFileName\":\"\",\"StartLine\":0}")
        }
        if isFirst {
            text.append(
                "{\"Column\":0,\"Discriminator\":0,\"FileName\":\"\",\"FunctionName\":\"\",\"Line\":0,"
                    + "\"StartAddress\":\"\",\"StartFileName\":\"\",\"StartLine\":0}")
        }
        text.append("]}")
    }
}

/// A growing stretch of bytes, for text that is made millions of lines at a time.
public struct TextBuffer: ~Copyable {
    private var start: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var count = 0

    public init() {
        capacity = 1 << 16
        start = .allocate(capacity: capacity)
    }

    deinit { start.deallocate() }

    /// Forgets the text, keeps the room.
    public mutating func removeAll() { count = 0 }

    public var size: Int { count }

    public borrowing func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        body(UnsafeRawBufferPointer(start: start, count: count))
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    private mutating func grow(_ more: Int) {
        capacity = max(capacity &* 2, count &+ more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: start, count: count)
        start.deallocate()
        start = larger
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        start[count] = byte
        count &+= 1
    }

    public mutating func append(_ text: StaticString) {
        append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (start + count).update(from: source, count: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>, orElse other: StaticString) {
        if bytes.isEmpty { append(other) } else { append(bytes) }
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append($0) }
    }

    public mutating func appendDecimal(_ value: UInt64) {
        reserve(20)
        var value = value
        var length = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            length &+= 1
        }
        var at = count &+ length
        repeat {
            at &-= 1
            start[at] = 0x30 &+ UInt8(truncatingIfNeeded: value % 10)
            value /= 10
        } while value > 0
        count &+= length
    }

    /// Hexadecimal digits, at least so many.
    public mutating func appendHexadecimal(_ value: UInt64, digits: Int) {
        reserve(16)
        let length = max(digits, (64 &- value.leadingZeroBitCount &+ 3) / 4, 1)
        for index in 0..<length {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64((length &- 1 &- index) &* 4)) & 15
            start[count &+ index] = digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
        }
        count &+= length
    }

    /// Text inside of a JSON string; bytes that are not UTF-8 come out repaired.
    public mutating func appendEscaped(_ bytes: UnsafeBufferPointer<UInt8>) {
        let isPlain = bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c }
        if isPlain { append(bytes) } else { appendEscaped(String(decoding: bytes, as: UTF8.self)) }
    }

    public mutating func appendEscaped(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5c:
                append(0x5c)
                append(byte)
            case 0..<0x20:
                append("\\u00")
                appendHexadecimal(UInt64(byte), digits: 2)
            default: append(byte)
            }
        }
    }
}
