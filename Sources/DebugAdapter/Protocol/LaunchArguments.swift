// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// The arguments of the request `launch`. Members that are not listed here are ignored: editors add their own.
public struct LaunchArguments: Sendable {
    /// `run`: the run directory.
    public var run: String
    /// `place`: where the guest stops first.
    public var place: String
    /// `other`: the run that the place `divergence` compares with.
    public var other: String?
    /// `symbols`, `user`, `modules`, `kaslr`: as the tools' options of these names.
    public var symbols: [String]
    /// `user`.
    public var programs: [String]
    /// `modules`.
    public var modules: String?
    /// `kaslr`.
    public var kaslr: String?
    /// `qemu`: QEMU's program.
    public var qemu: String?
    /// `gdb`: gdb's program.
    public var gdb: String
    /// `trust`: whether the recording is the user's own.
    public var isTrusted: Bool
    /// `sourceMap`: directories of the debug information and those that take their places, the longest first.
    public var sourceMap: [(from: String, to: String)]
    /// `stopOnEntry`: whether the session begins stopped.
    public var stopsOnEntry: Bool

    /// Reads the arguments.
    ///
    /// - Throws: ``RequestError`` with the member that is missing or of another type.
    public init(_ arguments: JSONValue) throws(RequestError) {
        let reader = MemberReader(arguments)
        guard let run = try reader.string("run"), !run.isEmpty else {
            throw RequestError("launch needs the argument run: a run directory")
        }
        self.run = run
        place = try reader.string("place") ?? "0"
        other = try reader.string("other")
        symbols = try reader.strings("symbols")
        programs = try reader.strings("user")
        modules = try reader.string("modules")
        kaslr = try reader.string("kaslr")
        qemu = try reader.string("qemu")
        gdb = try reader.string("gdb") ?? "gdb"
        isTrusted = try reader.flag("trust") ?? false
        stopsOnEntry = try reader.flag("stopOnEntry") ?? true
        sourceMap = try reader.map("sourceMap")
    }
}

/// Reads members of an object that have to be of one type.
private struct MemberReader {
    let object: JSONValue

    init(_ object: JSONValue) { self.object = object }

    private func problem(_ name: String, _ expected: String) -> RequestError {
        RequestError("the launch argument \(name) is not \(expected)")
    }

    func string(_ name: String) throws(RequestError) -> String? {
        guard let value = object[name], value != .null else { return nil }
        // Numbers are places.
        if let number = value.integer { return String(number) }
        guard let text = value.string else { throw problem(name, "a string") }
        return text
    }

    func flag(_ name: String) throws(RequestError) -> Bool? {
        guard let value = object[name], value != .null else { return nil }
        guard let flag = value.bool else { throw problem(name, "true or false") }
        return flag
    }

    /// A list of strings, or one string.
    func strings(_ name: String) throws(RequestError) -> [String] {
        guard let value = object[name], value != .null else { return [] }
        if let text = value.string { return [text] }
        guard let list = value.array else { throw problem(name, "a list of strings") }
        let texts = list.compactMap(\.string)
        guard texts.count == list.count else { throw problem(name, "a list of strings") }
        return texts
    }

    func map(_ name: String) throws(RequestError) -> [(from: String, to: String)] {
        guard let value = object[name], value != .null else { return [] }
        guard case .object(let members) = value else { throw problem(name, "an object") }
        var list: [(from: String, to: String)] = []
        for (from, to) in members.sorted(by: { ($0.key.utf8.count, $0.key) > ($1.key.utf8.count, $1.key) }) {
            guard let to = to.string else { throw problem(name, "an object of strings") }
            list.append((from, to))
        }
        return list
    }
}
