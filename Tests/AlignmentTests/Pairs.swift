// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import LogFormat
import TestSupport
import Testing

/// Two logs in their own directory.
struct Pair {
    let directory: TemporaryDirectory

    init() throws { directory = try temporaryDirectory() }

    var original: String { directory.file("original.log") }
    var replay: String { directory.file("replay.log") }

    /// Assembles both logs from text.
    init(_ original: String, _ replay: String) throws {
        try self.init()
        try assemble(original, to: self.original)
        try assemble(replay, to: self.replay)
    }

    /// Both logs of a synthetic run, and what is expected of their comparison; nil if the run has no such place.
    static func planted(
        _ run: SyntheticRun, _ difference: PlantedDifference
    ) throws -> (pair: Pair, expected: ExpectedAlignment)? {
        let pair = try Pair()
        do {
            let synthetic = SyntheticPair(run: run, difference: difference)
            return (pair, try synthetic.write(original: pair.original, replay: pair.replay))
        } catch is SyntheticPair.NoSuchPlace {
            return nil
        }
    }

    func compare(_ options: AlignmentOptions = AlignmentOptions()) throws -> AlignmentResult {
        try align(LogFile(path: original), LogFile(path: replay), options: options)
    }

    /// Aligns with digests and by decoding everything, and checks that both give the same answer.
    func compareBothWays(_ options: AlignmentOptions = AlignmentOptions()) throws -> AlignmentResult {
        let quick = try compare(options)
        var full = options
        full.useDigests = false
        let thorough = try compare(full)
        #expect(quick.verdict == thorough.verdict)
        #expect(quick.vcpu == thorough.vcpu)
        #expect(quick.vcpus.map(\.firsts) == thorough.vcpus.map(\.firsts))
        #expect(quick.vcpus.map(\.compared) == thorough.vcpus.map(\.compared))
        return quick
    }
}

extension AlignmentResult {
    /// The kinds of all caveats.
    var caveatKinds: Set<Caveat.Kind> { Set(caveats.map(\.kind)) }
}
