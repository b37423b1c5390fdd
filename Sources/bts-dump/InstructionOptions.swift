// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import MachineCode
import Symbolize

/// Options of `--instructions` alone.
struct InstructionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("With --instructions: the syntax of the operands.", valueName: "att|intel"))
    var syntax = Disassembler.Syntax.att
}

extension Disassembler.Syntax: ExpressibleByArgument {}
