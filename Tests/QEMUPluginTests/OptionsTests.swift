// SPDX-License-Identifier: GPL-2.0-or-later

import CQEMUPlugin
import CTTLog
import Glibc
import Testing

/// The plugin's arguments.
struct OptionsTests {
    /// Parses the arguments. Returns the result of `body`, or throws the message of the refusal.
    private func parse<T>(_ arguments: [String], _ body: (ttd_options) -> T) -> Result<T, Refusal> {
        var strings = arguments.map { strdup($0) }
        defer { for string in strings { free(string) } }
        var options = ttd_options()
        var message = [CChar](repeating: 0, count: 512)
        guard ttd_options_parse(Int32(strings.count), &strings, &options, &message, message.count) else {
            return .failure(
                Refusal(message: String(decoding: message.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self)))
        }
        return .success(body(options))
    }

    struct Refusal: Error { var message: String }

    @Test func everyArgumentIsUnderstood() throws {
        let arguments = [
            "log=/tmp/a.log", "mode=digest", "codec=raw", "level=3", "run=replay",
            "uuid=000102030405060708090a0b0c0d0e0F", "name=qemu 7.2", "clock_base=0x10", "icount_base=99", "access=off",
            "mmio=on", "kept=4", "window=100:200", "sync=5", "oracle=/tmp/page", "check=on", "ram=on",
            "ramfile=/tmp/memory",
        ]
        let good = try parse(arguments) { options in
            #expect(String(cString: options.log) == "/tmp/a.log")
            #expect(String(cString: options.oracle) == "/tmp/page")
            #expect(!options.access && options.mmio && options.check && options.ram)
            #expect(String(cString: options.ramfile) == "/tmp/memory")
            let writer = options.writer
            #expect(UInt32(writer.mode) == TTLOG_MODE_DIGEST.rawValue)
            #expect(UInt32(writer.codec) == TTLOG_CODEC_RAW.rawValue)
            #expect(writer.compression_level == 3 && writer.kept_cells == 4 && writer.sync_seconds == 5)
            #expect(UInt32(writer.run_kind) == TTLOG_RUN_REPLAY.rawValue)
            #expect(writer.recording_uuid.0 == 0 && writer.recording_uuid.15 == 15)
            #expect(writer.clock_base == 16 && writer.icount_base == 99)
            #expect(writer.window_from == 100 && writer.window_to == 200)
            return true
        }.get()
        #expect(good)
    }

    @Test func defaults() throws {
        try parse(["log=x"]) { options in
            #expect(options.access && !options.mmio && !options.check && options.oracle == nil)
            #expect(UInt32(options.writer.codec) == TTLOG_CODEC_ZSTD.rawValue)
            #expect(UInt32(options.writer.mode) == TTLOG_MODE_BRANCHES.rawValue)
        }.get()
    }

    @Test(arguments: [
        "mode=all", "codec=lz4", "level=0", "level=20", "run=again", "uuid=12", "clock_base=-1", "clock_base=1x",
        "access=maybe", "window=5", "window=5:5", "kept=0", "sync=99999999999", "unheard=of", "noequals", "log=",
    ]) func whatIsMalformedIsRefusedByName(argument: String) {
        guard case .failure(let refusal) = parse(["log=x", argument], { _ in }) else {
            Issue.record("\(argument) was accepted")
            return
        }
        #expect(refusal.message.contains("argument '\(argument)': expected"))
    }

    @Test func aLogIsNeeded() {
        guard case .failure(let refusal) = parse([], { _ in }) else {
            Issue.record("no log, no complaint")
            return
        }
        #expect(refusal.message.contains("log=PATH"))
    }
}
