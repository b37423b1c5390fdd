// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Foundation
import Testing

@testable import Symbolize

/// Answers to a stream of addresses, on several threads.
@Suite struct AddressStreamTests {
    private let scratch: ScratchDirectory
    private let program: String

    init() throws {
        scratch = try ScratchDirectory()
        program = try Programs.build(.pie, in: scratch.url)
    }

    private final class Written: @unchecked Sendable {
        private let lock = NSLock()
        private var bytes: [UInt8] = []
        private(set) var pieces = 0

        /// - Parameter delay: Microseconds that each piece takes.
        func add(_ new: UnsafeRawBufferPointer, delay: UInt32 = 0) {
            #expect(lock.try(), "two pieces at once")
            usleep(delay)
            bytes += new
            pieces += 1
            lock.unlock()
        }

        var text: String { lock.withLock { String(decoding: bytes, as: UTF8.self) } }
    }

    private func formatter(_ symbolizer: Symbolizer) -> AddressFormatter {
        var formatter = AddressFormatter(symbolizer)
        (formatter.functions, formatter.inlines, formatter.addresses) = (true, true, true)
        return formatter
    }

    /// A list of many pieces, with lines that are no addresses; the expected answers, one address at a time.
    private func makeList(_ symbolizer: Symbolizer, lines: Int) -> (text: String, answers: String, unknown: Int) {
        var chance = HostileTests.Seeded(state: 3)
        let code = symbolizer.modules[0].range
        let formatter = formatter(symbolizer)
        var (text, unknown) = ("", 0)
        var answers = TextBuffer()
        for _ in 0..<lines {
            switch Int.random(in: 0..<1000, using: &chance) {
            case 0:
                text += "nonsense\n"
                unknown += 1
                answers.append("0x0000000000000000\n??\n??:0\n")
            case 1:
                text += "\n  \n"
                unknown += 2
                for _ in 0..<2 { answers.append("0x0000000000000000\n??\n??:0\n") }
            default:
                let address = UInt64.random(in: code, using: &chance)
                text += hexadecimal(address) + "\n"
                formatter.append(address, to: &answers)
            }
        }
        return (text, answers.withBytes { String(decoding: $0, as: UTF8.self) }, unknown)
    }

    private func answer(
        _ text: String, _ symbolizer: Symbolizer, delay: UInt32 = 0
    ) throws -> (written: Written, unknown: Int) {
        let path = try scratch.write(text.utf8, to: "addresses")
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        let written = Written()
        let stream = AddressStream(descriptor, symbolizer, formatter(symbolizer)) { written.add($0, delay: delay) }
        return (written, try stream.run())
    }

    /// Whatever thread answers what, and whoever reads slowly.
    @Test(arguments: [0, 3000] as [UInt32])
    func answersComeInTheOrderOfTheLines(delay: UInt32) throws {
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        let list = makeList(symbolizer, lines: 200_000)
        for _ in 0..<(delay == 0 ? 8 : 1) {
            let (written, unknown) = try answer(list.text, symbolizer, delay: delay)
            #expect(written.text == list.answers)
            #expect(unknown == list.unknown)
            #expect(written.pieces > 20)
        }
    }

    @Test func filesThatAreReadAsTheyAreAskedAnswerTheSame() throws {
        let whole = Symbolizer()
        try whole.add(program)
        let list = makeList(whole, lines: 50_000)
        for part in [0.1, 1] {
            let symbolizer = Symbolizer(reading: .onDemand(smallest: 0, largestPart: part))
            try symbolizer.add(program)
            #expect(try answer(list.text, symbolizer).written.text == list.answers)
        }
    }

    /// Another program may ask one address at a time.
    @Test func eachLineIsAnsweredAtOnce() throws {
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        let (question, answer) = (Pipe(), Pipe())
        let stream = AddressStream(
            question.fileHandleForReading.fileDescriptor, symbolizer, formatter(symbolizer)
        ) { answer.fileHandleForWriting.write(Data($0)) }
        let thread = Thread { _ = try? stream.run() }
        thread.start()
        for name in ["outer", "main", "nonsense", "from_assembly"] {
            question.fileHandleForWriting.write(Data("\(name)\n".utf8))
            let found = String(decoding: answer.fileHandleForReading.availableData, as: UTF8.self)
            #expect(found.contains(name == "nonsense" ? "??" : name))
        }
        try question.fileHandleForWriting.close()
    }

    @Test func anErrorIsSaidAfterWhatWasAnswered() throws {
        let symbolizer = Symbolizer()
        try symbolizer.add(program)
        let directory = open(scratch.url.path, O_RDONLY)
        defer { close(directory) }
        let stream = AddressStream(directory, symbolizer, formatter(symbolizer)) { _ in }
        #expect(throws: SymbolError(file: "standard input", kind: .cannotOpen(errno: EISDIR))) { _ = try stream.run() }
    }
}
