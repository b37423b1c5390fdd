// SPDX-License-Identifier: GPL-2.0-or-later

import FoundationEssentials
import Mustache
import RunDirectory

/// A document as one page of HTML that needs no other file and no network.
///
///     try HTMLReport(document).text()
///
/// The texts of the document come from logs, symbol files and manifests of strangers. They are escaped for the place where
/// they are. A Content-Security-Policy allows the page's own style and script, by their digests, and nothing else: text
/// that was not escaped could not run either.
public struct HTMLReport {
    private let document: DivergenceDocument

    /// A page of a document.
    public init(_ document: DivergenceDocument) { self.document = document }

    /// The page.
    ///
    /// - Throws: the template engine's error; not for the templates of this library.
    public func text() throws -> String {
        MustacheContentTypes.register(HTMLText(), named: HTMLText.name)
        let resources = PackageResources.self
        let (style, script) = (Self.text(resources.report_css), Self.text(resources.report_js))
        let library = MustacheLibrary(templates: [
            "page": try Self.template(resources.page_mustache), "figure": try Self.template(resources.figure_mustache),
            "item": try Self.template(resources.item_mustache), "frame": try Self.template(resources.frame_mustache),
            "call": try Self.template(resources.call_mustache), "event": try Self.template(resources.event_mustache),
            "place": try Self.template(resources.place_mustache),
            // The word before a position: brctr, exit.
            "clock": try MustacheTemplate(string: Words.clock(document.clockUnit)),
        ])
        var page = PageModel(document)
        let values = Values([
            "page": page.values(), "style": style, "script": script, "styleDigest": Self.digest(style),
            "scriptDigest": Self.digest(script),
        ])
        return library.render(values, withTemplate: "page") ?? ""
    }

    private static func template(_ bytes: [UInt8]) throws -> MustacheTemplate {
        try MustacheTemplate(string: text(bytes))
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// A source expression of a Content-Security-Policy.
    private static func digest(_ text: String) -> String {
        "sha256-" + Data(FileDigest.sha256(Array(text.utf8))).base64EncodedString()
    }
}
