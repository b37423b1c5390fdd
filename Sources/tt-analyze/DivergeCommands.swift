// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import Reporting
import ToolSupport

/// Spells the command lines of the next steps that a report proposes.
struct DivergeCommands {
    let document: DivergenceDocument
    let symbols: SymbolOptions

    /// The command line of a step, quoted for a shell.
    func spell(_ step: DivergenceDocument.NextStep) -> String? {
        switch step.action {
        case .listBranches:
            return list(["bts-dump"], step)
        case .listEvents:
            return list(["tt-analyze", "events"], step)
        case .pauseReplay:
            guard let brctr = step.brctr else { return nil }
            return DivergeCommands.line(["tt-replay", "--until", "\(brctr)", step.path])
        case .replayForDebugger:
            return DivergeCommands.line(["tt-replay", step.path, "--", "-S", "-gdb", "tcp::1234"])
        case .attachDebugger:
            guard let address = step.address else { return nil }
            return DivergeCommands.line([
                "gdb", "-ex", "target remote :1234", "-ex", "hbreak *\(address)", "-ex", "continue",
            ])
        }
    }

    /// What a program lists around the step's clock.
    private func list(_ program: [String], _ step: DivergenceDocument.NextStep) -> String? {
        guard let brctr = step.brctr else { return nil }
        let files = step.side == .original ? document.original.symbolFiles : document.replay.symbolFiles
        let names = files.isEmpty ? [] : symbols.arguments(files)
        return DivergeCommands.line(program + names + ["--around", "\(brctr):20", step.path])
    }

    private static func line(_ words: [String]) -> String {
        words.map(ShellWord.quoted).joined(separator: " ")
    }
}
