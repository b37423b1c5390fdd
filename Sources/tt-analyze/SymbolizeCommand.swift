// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import Formatting
@preconcurrency import Glibc
import LogViews
import Symbolize
import ToolSupport

/// `tt-analyze symbolize`: names addresses as addr2line does.
struct SymbolizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "symbolize",
        abstract: "Name addresses: function, file, line, inline chain.",
        discussion: """
            Reads addresses (hexadecimal, with or without 0x) or places SYMBOL[+OFFSET] from the arguments or, without \
            arguments, from standard input, one a line. Prints the output of addr2line; with --format json that of \
            llvm-symbolizer: an array for arguments, an object a line for standard input.

            EXAMPLES
              tt-analyze symbolize --symbols vmlinux -f -i 0xffffffff81000123
              tt-analyze symbolize --symbols vmlinux+0x1c000000 --format json < addresses
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @OptionGroup var symbols: SymbolOptions

    @Flag(name: [.customShort("f"), .long], help: "Print function names.")
    var functions = false

    @Option(
        name: [.customShort("e"), .customLong("exe")],
        help: ArgumentHelp("The same as --symbols, as addr2line has it.", valueName: "file"), completion: .file())
    var programs: [String] = []

    @Flag(
        name: [.customShort("C"), .customLong("demangle")],
        help: "Demangle function names (C++, Rust, Swift, D); json does, unless --no-demangle is given.")
    var demangles = false

    @Flag(name: [.customShort("i"), .long], help: "Also print the functions that the code was inlined into.")
    var inlines = false

    @Flag(name: [.customShort("a"), .long], help: "Print each address before its answer.")
    var addresses = false

    @Flag(name: [.customShort("s"), .long], help: "Print file names without their directories.")
    var basenames = false

    @Option(help: "Format of the answers; json implies -f -i.")
    var format = Format.text

    @Argument(help: ArgumentHelp("Addresses, or SYMBOL[+OFFSET].", valueName: "address"))
    var places: [String] = []

    func run() throws {
        guard let symbolizer = try symbols.symbolizer(symbols.files + programs, for: nil, reading: .onDemand()) else {
            throw ValidationError("Missing expected argument '--symbols <file>'")
        }
        if places.isEmpty {
            try answerInput(symbolizer)
        } else {
            try answer(places, symbolizer)
        }
        SymbolOptions.finish(symbolizer)
    }

    private func formatter(_ symbolizer: Symbolizer) -> AddressFormatter {
        var formatter = AddressFormatter(symbolizer)
        formatter.style = format == .json ? .json : .addr2line
        formatter.functions = functions || format == .json
        formatter.inlines = inlines || format == .json
        formatter.addresses = addresses
        formatter.basenames = basenames
        formatter.demangles = (demangles || format == .json) && !symbols.noDemangle
        return formatter
    }

    private func answer(_ places: [String], _ symbolizer: Symbolizer) throws {
        let addresses = try places.map { place in
            guard let address = AddressReader.address(place, symbolizer) else {
                throw RuntimeError("\"\(place)\" is neither a hexadecimal address nor a known SYMBOL[+OFFSET]")
            }
            return address
        }
        var formatter = formatter(symbolizer)
        formatter.lookup = try symbolizer.lookup(for: addresses)
        var text = TextBuffer()
        if format == .json { text.append("[") }
        for (index, address) in addresses.enumerated() {
            if format == .json && index > 0 { text.append(",") }
            formatter.append(address, to: &text)
        }
        if format == .json { text.append("]\n") }
        text.withBytes { Output.standard.write($0) }
    }

    /// Answers as the input comes, so that another program can ask one address at a time.
    private func answerInput(_ symbolizer: Symbolizer) throws {
        let stream = AddressStream(STDIN_FILENO, symbolizer, formatter(symbolizer)) { text in
            Output.standard.write(text)
            Output.standard.flush()
        }
        let unknown = try stream.run()
        if unknown > 0 {
            Diagnostics.warning(
                "\(unknown) line\(unknown == 1 ? "" : "s") of standard input neither a hexadecimal address nor a known "
                    + "SYMBOL[+OFFSET]")
        }
    }
}
