// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import TestSupport
import Testing

/// Reading QEMU's replay.bin.
struct QEMUReplayLogTests {
    let scratch: TemporaryDirectory

    init() throws { scratch = try temporaryDirectory() }

    /// A file with an entry of every kind, with every sort of payload.
    static let everything = """
        checkpoint-init
        instruction 1000
        interrupt
        exception
        async-bh 7
        async-bh-oneshot 8
        async-input 0000000000000000000000000000001e01
        async-input 00000000000000010000001e01
        async-input 000000010000000201
        async-input 00000002000000010000000000000005
        async-input 000000040000000100000000000000020000000000000003000000010000000000000004
        async-input-sync
        async-char-read 0000000003616263
        async-block 9
        async-net 0100000000000000026162
        char-write 0000000100000001
        char-read-all 68656c6c6f
        char-read-all-error fffffff5
        audio-out 512
        audio-in 000000000000000200000000000000001111111111111111111111111111111111111111111111111111111111111111
        random 00000000000000040a0b0c0d
        clock-host 123456789
        clock-virtual-rt 42
        instruction 500
        checkpoint-reset
        shutdown-guest-shutdown
        end
        """

    private func text(_ text: String) throws -> QEMUReplayLog {
        let path = scratch.file("replay.bin")
        try ReplayBinEditor(text: text).write(to: path)
        return try QEMUReplayLog(path: path)
    }

    private func bytes(_ bytes: [UInt8]) throws -> QEMUReplayLog {
        let path = scratch.file("replay.bin")
        try ReplayBinEditor.write(bytes, to: path)
        return try QEMUReplayLog(path: path)
    }

    @Test func everyKindOfPayloadIsSteppedOver() throws {
        let log = try text(Self.everything)
        #expect(log.damage == nil)
        #expect(log.isComplete)
        #expect(log.lastIcount == 1500)
        #expect(log.counts[.asyncInput] == 5)
        var kinds: [String] = []
        var icounts: [UInt64] = []
        var cursor = log.events()
        while let event = cursor.next() {
            kinds.append(event.kind.rawValue)
            icounts.append(event.icount)
        }
        #expect(kinds == Self.everything.split(separator: "\n").map { String($0.prefix { $0 != " " }) })
        #expect(icounts.first == 0 && icounts[2] == 1000 && icounts.last == 1500)
    }

    @Test func valuesAreBigEndian() throws {
        let log = try text("instruction 65536\nclock-host 1234567890123\nend")
        var cursor = log.events()
        let instructions = cursor.next()
        #expect(instructions?.value == 65536)
        let clock = cursor.next()
        #expect(clock?.value == 1_234_567_890_123)
        #expect(clock?.offset == 17)
        #expect(clock?.payload == 18..<26)
    }

    @Test func aKilledRecordingIsReadUpToItsLastByte() throws {
        var killed = try ReplayBinEditor(text: "instruction 100\ninterrupt\ninstruction 7")
        killed.version = 0
        let log = try bytes(killed.bytes)
        #expect(log.version == 0)
        #expect(!log.isComplete)
        #expect(log.lastIcount == 107)
        #expect(log.damage?.what == .noEnd)
        #expect(log.damage?.offset == 12 + 5 + 1 + 5)
    }

    @Test func anUnknownVersionIsRefusedByName() throws {
        var newer = try ReplayBinEditor(text: "end")
        newer.version = 0xe0200e
        let error = #expect(throws: LogError.self) { try bytes(newer.bytes) }
        let message = error.map(\.description) ?? ""
        #expect(message.contains("0xe0200e") && message.contains("0xe0200c (QEMU 7.2"))
        #expect(error?.offset == 0)
    }

    @Test(arguments: [0, 1, 11]) func aFileShorterThanTheHeaderIsRefused(count: Int) throws {
        let error = #expect(throws: LogError.self) { try bytes([UInt8](repeating: 0, count: count)) }
        #expect(error?.description.contains("12 bytes of header expected") == true)
    }

    @Test func aMissingFileIsRefused() {
        #expect(throws: LogError.self) { try QEMUReplayLog(path: scratch.file("none")) }
    }

    @Test func badBytesAreReportedWithTheirOffset() throws {
        var contents = try ReplayBinEditor(text: "instruction 100\ninterrupt").bytes
        contents.append(200)
        let log = try bytes(contents)
        #expect(log.damage?.what == .unknownCode(200))
        #expect(log.damage?.offset == 18)
        #expect(log.damage?.description.contains("replay.bin: offset 18: unknown code 200") == true)
        #expect(log.counts[.interrupt] == 1)
    }

    @Test func everyTruncationIsReportedWhereItIs() throws {
        let whole = try ReplayBinEditor(
            text: "instruction 100\nasync-char-read 00000000020a0b\nclock-host 5\nrandom 00000000000000020102\nend"
        ).bytes
        for count in 12..<whole.count {
            let log = try bytes(Array(whole[..<count]))
            let damage = try #require(log.damage)
            #expect(damage.offset <= UInt64(count) && !log.isComplete)
        }
        #expect(try bytes(whole).damage == nil)
        let trailing = try bytes(whole + [1, 2, 3])
        #expect(trailing.damage?.what == .trailing(3))
    }

    @Test func hostileLengthsAreNoMoreThanAnError() throws {
        let header = try ReplayBinEditor(text: "").bytes
        let hugeArray = header + [23, 0xff, 0xff, 0xff, 0xff, 1]
        let arrayLog = try bytes(hugeArray)
        #expect(arrayLog.damage?.what == .truncated(.charReadAll, expected: 0xffff_ffff, present: 1))
        let hugeAudio = header + [26] + [UInt8](repeating: 0xff, count: 16)
        let audioLog = try bytes(hugeAudio)
        #expect(audioLog.damage?.what == .truncated(.audioIn, expected: .max, present: 0))
    }

    /// Whatever the bytes are: no trap, no endless loop, offsets inside the file.
    @Test func tenThousandMutationsDoNoHarm() throws {
        let original = try ReplayBinEditor(
            text: """
                instruction 1000
                interrupt
                async-input 00000000000000010000001e01
                async-char-read 0000000003616263
                char-read-all 68656c6c6f
                audio-in 00000000000000010000000000000000aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb
                random 00000000000000040a0b0c0d
                clock-host 123456789
                exception
                instruction 500
                shutdown-guest-shutdown
                end
                """
        ).bytes
        var random = RandomNumbers(seed: 7)
        var damaged = 0
        for _ in 0..<10_000 {
            var mutant = original
            for _ in 0...random.below(3) {
                switch random.below(4) {
                case 0: mutant[Int(random.below(UInt64(mutant.count)))] ^= UInt8(1 << random.below(8))
                case 1: mutant.removeLast(Int(random.below(UInt64(mutant.count))))
                case 2: mutant.insert(UInt8(random.below(256)), at: Int(random.below(UInt64(mutant.count + 1))))
                default:
                    let at = Int(random.below(UInt64(mutant.count)))
                    for index in at..<min(at + 4, mutant.count) { mutant[index] = 0xff }
                }
                if mutant.isEmpty { mutant = [0] }
            }
            do {
                let log = try bytes(mutant)
                if let damage = log.damage {
                    damaged += 1
                    #expect(damage.offset <= UInt64(mutant.count))
                }
            } catch let error as LogError {
                damaged += 1
                #expect(!error.description.isEmpty)
            }
        }
        #expect(damaged > 5_000)
    }
}
