// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import RunDirectory

extension Remedy {
    /// What to do, in the options of tt-record and tt-replay.
    public var text: String {
        switch self {
        case .nameGuest: "give --kernel or --disk"
        case .recordedDisk(let image): "give --disk \(image.map(ShellWord.quoted) ?? "FILE") instead"
        case .leaveOut: "leave it out"
        case .nameEmptyDirectory: "name a new or an empty directory"
        case .nameAnotherOrOverwrite: "name another directory, or give --overwrite"
        case .nameAnotherReplayOrOverwrite: "choose another --name, or give --overwrite"
        case .nameRecording: "name a directory that tt-record made"
        case .otherName(let rule): "use \(rule)"
        case .waitForHolder: "wait until it has ended, or end it"
        case .replayDifferently: "undo the change, or give --force to replay nevertheless and see where the runs part"
        case .recordAgain: "record again"
        case .installEngine(let package):
            "install it (Debian: apt-get install \(package)), or name it with --qemu PATH or QEMU=PATH"
        case .buildRecorder(let searched):
            "build it with `make plugin`, or name it with --plugin PATH or TTD_PLUGIN; looked for "
                + searched.joined(separator: ", ")
        case .correctVariable(let name): "\(name) names a file that does not exist"
        case .otherEngine(let having, let setting):
            "use \(having) (make qemu10, --qemu), or give --\(setting.rawValue) off"
        case .clockSettings: "give --shift and --sleep instead"
        case .singleArguments: "give its settings as single arguments"
        case .addArgument(let argument): "add \(argument)"
        case .useValue(let value): "use \(value)"
        case .trustRecording: "if you made the recording yourself, give --trust"
        case .bringBack: "put it next to the run directory, or name another in its place"
        case .protectFile: "add snapshot=on or readonly=on to its -drive"
        case .nameEngine(let version): "name QEMU \(version) with --qemu PATH, or give --trust to use the manifest's"
        case .otherReplayDirectory: "give --output DIR"
        case .advice(let sentence): sentence
        }
    }
}

extension RunError {
    /// The problem and its remedy, escaped for a terminal.
    public var textWithRemedy: String {
        var text = description
        if let remedy {
            // The differences of a replay take several lines.
            var separator = "; "
            if case .differs = self { separator = "\n" }
            text += separator + remedy.text
        }
        return text.split(separator: "\n").map { String($0).onOneLine }.joined(separator: "\n")
    }
}

extension NextStep {
    /// The command that does it.
    public var commandLine: String {
        let words = directories.map(ShellWord.quoted).joined(separator: " ")
        switch action {
        case .replay: return "tt-replay \(words)"
        case .compare: return "tt-analyze diverge \(words)"
        }
    }
}
