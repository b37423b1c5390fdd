// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import FoundationEssentials
@preconcurrency import Glibc
import ReplaySession
import RunDirectory
import Symbolize
import ToolSupport

/// An expression and its value in a stopped guest.
public struct PrintedValue: Codable, Sendable {
    /// The expression.
    public var expression: String
    /// Its value as gdb prints it; nil if it has none.
    public var value: String?
    /// Why it has none.
    public var error: String?

    /// One line for people.
    public var text: String {
        "\(expression) = \(value ?? "error: \(error ?? "no value")")".onOneLine
    }
}

/// gdb on a stopped guest.
public struct DebuggerPrint {
    /// gdb's program.
    public static let program = "gdb"

    /// gdb's settings before it reads a symbol file and connects. It refuses to write, with a message: the server refuses too, and
    /// gdb shows that as an error of the access.
    public static let settings = [
        "set remotetimeout 3600", "set debuginfod enabled off", "set may-write-registers off",
        "set may-write-memory off",
    ]

    /// gdb's commands that read the symbol files of a run at their places in it.
    public static func symbolCommands(_ run: TravelRun) -> [String] {
        var commands: [String] = []
        var paths: [String] = []
        for module in run.symbolizer?.modules ?? [] {
            // gdb knows no escape for a newline in a command.
            guard !module.path.contains("\n") else { continue }
            let path = module.path.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            if module.isKernelModule {
                if let places = run.sections(of: module) { commands.append("add-symbol-file \"\(path)\" \(places)") }
                continue
            }
            let slide = "-o 0x\(String(UInt64(bitPattern: module.slide), radix: 16))"
            if paths.isEmpty {
                commands.insert(module.slide == 0 ? "file \"\(path)\"" : "symbol-file \(slide) \"\(path)\"", at: 0)
            } else {
                commands.append("add-symbol-file \"\(path)\" \(slide)")
            }
            paths.append(module.path)
        }
        return DebuggerIndexes.commands(for: paths) + commands
    }

    /// A command line that starts gdb with some commands, for people: a path from a manifest is escaped.
    public static func commandLine(_ program: String, _ commands: [String]) -> String {
        (ShellWord.quoted(program) + commands.map { " -ex \(ShellWord.quoted($0))" }.joined()).onOneLine
    }

    /// Evaluates expressions by gdb on the stopped guest.
    ///
    /// - Throws: ``RunError`` if gdb cannot be started or gives no answer.
    public static func values(
        of expressions: [String], _ session: TravelSession, _ run: TravelRun
    ) throws -> [PrintedValue] {
        let directory = session.privateDirectory
        let (script, answer) = ("\(directory)/print.py", "\(directory)/print.json")
        let kernelSlide = run.symbolizer?.modules.first?.slide ?? 0
        let text = String(decoding: try JSONEncoder().encode(expressions), as: UTF8.self)
        try Files.replace(script, with: Array(python(text, slide: kernelSlide, answer: answer).utf8))
        let server = try DebuggerServer(session, socket: "\(directory)/gdb")
        var arguments = ["-nx", "-batch"]
        for setting in settings + ["set auto-load no"] { arguments += ["-iex", setting] }
        for command in ["set confirm off", "set width 0"] + symbolCommands(run) {
            arguments += ["-ex", command]
        }
        arguments += ["-ex", "target extended-remote \(server.socket)", "-x", script]
        let gdb = try HelperProcess(program, arguments, output: "\(directory)/gdb.log")
        server.onWait = {
            try run.check(session)
            if gdb.hasEnded { throw HelperProcess.Ended() }
        }
        do { try server.serve() } catch is HelperProcess.Ended {}
        gdb.wait()
        guard let bytes = try? Files.contents(answer) else {
            throw RunError.engine(problem: "gdb printed no values", output: Files.tail("\(directory)/gdb.log"))
        }
        return try JSONDecoder().decode([PrintedValue].self, from: Data(bytes))
    }

    /// `current` is a macro in Linux, which debug information lacks: the variable of the running processor that it reads
    /// takes its place.
    private static func python(_ expressions: String, slide: Int64, answer: String) -> String {
        """
        import gdb, json, re
        def current():
            base = int(gdb.parse_and_eval("$gs_base")) & (2**64 - 1)
            if base >> 63 == 0:
                base = int(gdb.parse_and_eval("$k_gs_base")) & (2**64 - 1)
            offset = int(gdb.parse_and_eval("(unsigned long)&current_task")) - (\(slide))
            # The type comes from the variable: gdb looks for the name of a type in all units, which takes a minute.
            pointer = gdb.lookup_global_symbol("current_task").type.pointer()
            value = gdb.Value((base + offset) & (2**64 - 1)).cast(pointer).dereference()
            gdb.set_convenience_variable("tt_current", value)
            return "$tt_current"
        values = []
        for expression in json.loads(\(quoted(expressions))):
            value = {"expression": expression}
            try:
                text = expression
                if re.search(r"\\bcurrent\\b", text) and gdb.lookup_global_symbol("current") is None:
                    text = re.sub(r"\\bcurrent\\b", lambda match: current(), text)
                value["value"] = gdb.parse_and_eval(text).format_string()
            except Exception as error:
                value["error"] = str(error)
            values.append(value)
        with open(\(quoted(answer)), "w") as file:
            json.dump(values, file)
        """
    }

    /// A literal of Python for a text of JSON.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
