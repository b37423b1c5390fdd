// SPDX-License-Identifier: GPL-2.0-or-later

import ReplaySession
import Testing

@testable import Symbolize
@testable import Zoom

/// Tasks of a guest, from words of memory that each test writes down. Words that it does not mention are outside of the
/// memory.
struct TaskReaderTests {
    /// Offsets as in no real kernel.
    private static let layout = LinuxTasks(
        perCPUOffsets: 0xffff_ffff_8100_0000, currentTask: 0x100, name: 0x20, process: 0x10, group: 0x14, memory: 0x18,
        nameSize: 16, program: .init(file: 0x8, entry: 0x8, name: 0x10, length: 0x4, parent: 0x8))

    /// Maps the whole of the upper half onto one gigabyte from 0, and has these words in it.
    private func reader(_ words: [UInt64: UInt64], slide: Int64 = 0) -> TaskReader {
        TaskReader(
            kernel: GuestKernel(tasks: Self.layout, slide: slide),
            tables: PageTables(cr3: 0x7000_1000, cr4: 0) { address in
                switch address {
                case 0x7000_0000..<0x7000_1000: 0x7000_2003
                case 0x7000_2000..<0x7000_3000: 0x83
                case 0x7000_1000..<0x7000_2000: 0  // the user's tables, without the kernel
                default: words[address]
                }
            })
    }

    private func text(_ text: String) -> UInt64 {
        text.utf8.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static let base: UInt64 = 0xffff_8000_0000_0000

    /// A task with a program `/bin/sh`, whose kernel was moved by 0x1000.
    private var words: [UInt64: UInt64] {
        [
            0x100_1000: Self.base + 0x4000, 0x4100: Self.base + 0x5000,
            0x5010: 71 << 32 | 73, 0x5018: Self.base + 0x6000, 0x5020: text("two word"), 0x5028: text("s\u{1b}[1m"),
            0x6008: Self.base + 0x6100, 0x6108: Self.base + 0x6200,
            0x6200: 2 << 32, 0x6208: Self.base + 0x6300, 0x6210: Self.base + 0x7000, 0x7000: text("sh"),
            0x6300: 3 << 32, 0x6308: Self.base + 0x6400, 0x6310: Self.base + 0x7008, 0x7008: text("binary"),
            0x6400: 1 << 32, 0x6408: Self.base + 0x6400, 0x6410: Self.base + 0x7010, 0x7010: text("/"),
        ]
    }

    @Test func theRunningTaskHasItsNamesAndNumbers() throws {
        let reader = reader(words, slide: 0x1000)
        #expect(reader.currentPlace == Self.base + 0x4100)
        let task = try #require(reader.current.flatMap(reader.task))
        #expect(task.name == "two words\u{1b}[1m")
        #expect(task.process == 73 && task.group == 71)
        #expect(task.program == "/bin/sh")
    }

    @Test func aTaskOfTheKernelHasNoProgram() throws {
        var words = words
        words[0x5018] = 0
        let reader = reader(words, slide: 0x1000)
        let task = try #require(reader.current.flatMap(reader.task))
        #expect(task.program == nil && task.name.hasPrefix("two words"))
    }

    /// Pointers to nowhere, circles, lengths without end.
    @Test func hostileMemoryIsBounded() throws {
        #expect(reader([:]).current == nil)
        var words = words
        words[0x4100] = 0x1234_5678_9abc_def0
        #expect(reader(words, slide: 0x1000).current.flatMap(reader(words, slide: 0x1000).task) == nil)
        words = self.words
        words[0x6308] = Self.base + 0x6200  // two directories, each in the other
        words[0x6200] = 0xffff_ffff << 32
        words[0x7000] = text("aaaaaaaa")
        for address in stride(from: UInt64(0x7000), to: 0x8000, by: 8) { words[address] = text("aaaaaaaa") }
        let reader = reader(words, slide: 0x1000)
        let program = try #require(reader.current.flatMap(reader.task)?.program)
        #expect(program.hasPrefix("…/") && program.utf8.count < 16 * 260)
    }

    /// Pages of each size, and entries that are not present.
    @Test func pagesOfEachSizeAreFound() {
        let words: [UInt64: UInt64] = [
            0x1000 + 8 * 1: 0x2001, 0x2000 + 8 * 2: 0x3001, 0x3000 + 8 * 3: 0x4001,
            0x4000 + 8 * 4: 0x8000_0000_0000_5001,
            0x3000 + 8 * 5: 0x60_0081, 0x2000 + 8 * 6: 0x4000_0081, 0x4000 + 8 * 7: 0x5000,
        ]
        let tables = PageTables(cr3: 0x1000, cr4: 0) { words[$0] }
        let part: UInt64 = 1 << 39
        #expect(tables.physical(part + 2 << 30 + 3 << 21 + 4 << 12 + 0x123) == 0x5123)
        #expect(tables.physical(part + 2 << 30 + 5 << 21 + 0x12345) == 0x61_2345)
        #expect(tables.physical(part + 6 << 30 + 0x1234567) == 0x4123_4567)
        #expect(tables.physical(part + 2 << 30 + 3 << 21 + 7 << 12) == nil)
        #expect(tables.physical(0) == nil)
    }
}
