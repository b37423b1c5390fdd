// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Glibc

/// Writes what addresses are as `addr2line` and `llvm-symbolizer` do, so that scripts can swap this in.
///
/// One address gives, in style ``Style/addr2line``, for each frame a line with the function (when asked for) and one
/// with `file:line`, `??` where something is not known; in style ``Style/json`` one object as llvm-symbolizer's
/// `--output-style=JSON` prints it (columns and discriminators are not kept, they are 0).
public struct AddressFormatter: Sendable {
    /// How an answer looks.
    public enum Style: Sendable {
        /// Lines as addr2line prints them.
        case addr2line
        /// One object an address, as llvm-symbolizer prints it.
        case json
    }

    /// How answers look.
    public var style = Style.addr2line
    /// Function names (addr2line's `-f`).
    public var functions = false
    /// Demangled function names (`-C`); in JSON the linkage name is beside them.
    public var demangles = false
    /// The functions that an inlined one was inlined into (`-i`).
    public var inlines = false
    /// The address before its answer (`-a`).
    public var addresses = false
    /// File names without their directories (`-s`).
    public var basenames = false

    /// What knows the addresses; ``init(_:)`` takes what the symbolizer knows then.
    public var lookup: SymbolLookup
    /// The paths of the modules, escaped for JSON.
    private let paths: [[UInt8]]

    /// Makes a formatter of what a symbolizer knows.
    public init(_ symbolizer: Symbolizer) {
        lookup = symbolizer.lookup
        paths = symbolizer.modules.map { module in
            var text = TextBuffer()
            text.appendEscaped(module.path)
            return text.withBytes { [UInt8]($0) }
        }
    }

    /// Appends the answer for one address of the run.
    public func append(_ address: UInt64, to text: inout TextBuffer) {
        appendAddress(address, to: &text)
        appendAnswer(lookup.find(address), to: &text)
    }

    /// Appends the answers for many addresses of the run, each on lines of its own.
    ///
    /// All but the address itself follows from the stretch that it lies in, so that an answer given a short while ago
    /// is copied.
    public func append(_ list: AddressList, to text: inout TextBuffer) {
        withUnsafeTemporaryAllocation(of: SymbolHit.self, capacity: SymbolLookup.batchSize) { hits in
            withUnsafeTemporaryAllocation(of: Answer.self, capacity: Answer.slots) { answers in
                answers.initialize(repeating: Answer(.unknown, start: 0, length: 0))
                append(list, to: &text, hits, answers)
            }
        }
    }

    private func append(
        _ list: AddressList, to text: inout TextBuffer, _ hits: UnsafeMutableBufferPointer<SymbolHit>,
        _ answers: UnsafeMutableBufferPointer<Answer>
    ) {
        var unknown = list.unknown[...]
        // How many answers of the batch before were made anew.
        var made = SymbolLookup.batchSize
        list.addresses.withUnsafeBufferPointer { addresses in
            for first in stride(from: 0, to: addresses.count, by: SymbolLookup.batchSize) {
                let end = min(first &+ SymbolLookup.batchSize, addresses.count)
                lookup.find(UnsafeBufferPointer(rebasing: addresses[first..<end]), into: hits)
                while let index = unknown.first, index < end {
                    hits[index &- first] = .unknown
                    unknown.removeFirst()
                }
                // Addresses of which many share an answer lie close together, and so does what answers are made of.
                if made > SymbolLookup.batchSize / 2 {
                    lookup.prefetchTexts(
                        UnsafeBufferPointer(rebasing: hits[..<(end &- first)]), callers: inlines,
                        starts: style == .json)
                }
                made = 0
                for index in first..<end {
                    appendAddress(addresses[index], to: &text)
                    made &+= append(hits[index &- first], to: &text, answers) ? 1 : 0
                }
            }
        }
    }

    /// Where the answer for a stretch of addresses is in the text.
    private struct Answer: BitwiseCopyable {
        // All of a hit but its address.
        var module: UInt32
        var symbol: UInt32
        var node: UInt32
        var file: UInt32
        var line: UInt32
        /// 0 when there is none.
        var length: UInt32
        var start: Int

        /// As many as the first-level cache has room for; a power of two.
        static let slots = 256

        init(_ hit: SymbolHit, start: Int, length: UInt32) {
            (module, symbol, node, file, line) = (hit.module, hit.symbol, hit.node, hit.file, hit.line)
            (self.start, self.length) = (start, length)
        }

        @inline(__always)
        static func slot(_ hit: SymbolHit) -> Int {
            let mixed = hit.node &* 0x9e37_79b1 ^ hit.line &* 0x85eb_ca77 ^ hit.symbol &* 0xc2b2_ae3d
            return Int(mixed &>> 24)
        }

        @inline(__always)
        func holds(for hit: SymbolHit) -> Bool {
            module == hit.module && symbol == hit.symbol && node == hit.node && file == hit.file && line == hit.line
                && length > 0
        }
    }

    /// Returns whether the answer was made anew.
    @inline(__always)
    private func append(
        _ hit: SymbolHit, to text: inout TextBuffer, _ answers: UnsafeMutableBufferPointer<Answer>
    ) -> Bool {
        let slot = Answer.slot(hit)
        let answer = answers[slot]
        if answer.holds(for: hit) {
            text.appendCopy(answer.start..<answer.start &+ Int(answer.length))
            return false
        }
        let start = text.size
        appendAnswer(hit, to: &text)
        if style == .json { text.append(0x0a) }
        answers[slot] = Answer(hit, start: start, length: UInt32(exactly: text.size &- start) ?? 0)
        return true
    }

    /// Appends what comes before the answer proper.
    @inline(__always)
    private func appendAddress(_ address: UInt64, to text: inout TextBuffer) {
        switch style {
        case .addr2line:
            guard addresses else { return }
            text.append("0x")
            text.appendHexadecimal(address, digits: 16)
            text.append(0x0a)
        case .json:
            text.append("{\"Address\":\"0x")
            text.appendHexadecimal(address, digits: 1)
            text.append("\",\"ModuleName\":\"")
        }
    }

    /// The answer, which must not depend on the address of the hit.
    private func appendAnswer(_ hit: SymbolHit, to text: inout TextBuffer) {
        switch style {
        case .addr2line: appendLines(hit, to: &text)
        case .json: appendObject(hit, to: &text)
        }
    }

    // MARK: - addr2line

    private func appendLines(_ hit: SymbolHit, to text: inout TextBuffer) {
        var isFirst = true
        let escapes = hit.isKnown && lookup.needsEscapes(hit)
        lookup.forEachFrame(hit) { frame in
            guard inlines || isFirst else { return }
            isFirst = false
            lookup.withFunctionName(frame) { name in
                lookup.withFile(frame) { path in
                    appendLines(
                        name, shortened(path), line: frame.line, hasFile: frame.hasFile, escapes: escapes, to: &text)
                }
            }
        }
        if isFirst { text.append(functions ? "??\n??:0\n" : "??:0\n") }
    }

    @inline(__always)
    private func appendLines(
        _ name: UnsafeBufferPointer<UInt8>, _ path: UnsafeBufferPointer<UInt8>, line: UInt32, hasFile: Bool,
        escapes: Bool, to text: inout TextBuffer
    ) {
        if functions {
            if demangles, let demangled = demangled(name) {
                text.appendText(demangled.onOneLine)
            } else {
                append(name, escapes: escapes, to: &text)
            }
            text.append(0x0a)
        }
        append(path, escapes: escapes, to: &text)
        text.append(0x3a)
        // A file whose line is not known has line `?` in addr2line, an unknown file has line 0.
        if line == 0 && hasFile { text.append(0x3f) } else { text.appendDecimal(UInt64(line)) }
        text.append(0x0a)
    }

    @inline(__always)
    private func append(_ name: UnsafeBufferPointer<UInt8>, escapes: Bool, to text: inout TextBuffer) {
        if name.isEmpty {
            text.append("??")
        } else if escapes {
            text.appendOneLine(name)
        } else {
            text.append(name)
        }
    }

    private func demangled(_ name: UnsafeBufferPointer<UInt8>) -> String? {
        Demangler.isMangled(name) ? Demangler.demangle(String(decoding: name, as: UTF8.self)) : nil
    }

    private func shortened(_ path: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        guard basenames, let slash = path.lastIndex(of: 0x2f) else { return path }
        return UnsafeBufferPointer(rebasing: path[(slash + 1)...])
    }

    // MARK: - JSON

    private func appendObject(_ hit: SymbolHit, to text: inout TextBuffer) {
        if hit.isKnown { paths[Int(hit.module)].withUnsafeBufferPointer { text.append($0) } }
        text.append("\",\"Symbol\":[")
        var isFirst = true
        lookup.forEachFrame(hit) { frame in
            guard inlines || isFirst else { return }
            if !isFirst { text.append(0x2c) }
            isFirst = false
            text.append("{\"Column\":0,\"Discriminator\":0,\"FileName\":\"")
            lookup.withFile(frame) { text.appendEscaped(shortened($0)) }
            text.append("\",\"FunctionName\":\"")
            lookup.withFunctionName(frame) { name in
                guard demangles, let demangled = demangled(name) else { return text.appendEscaped(name) }
                text.appendEscaped(demangled)
                text.append("\",\"linkage_name\":\"")
                text.appendEscaped(name)
            }
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
                """
                {"Column":0,"Discriminator":0,"FileName":"","FunctionName":"","Line":0,\
                "StartAddress":"","StartFileName":"","StartLine":0}
                """)
        }
        text.append("]}")
    }
}
