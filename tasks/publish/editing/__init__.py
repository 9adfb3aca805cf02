"""The film as editors open it: its clips, cuts, dissolves and sounds as a timeline, and the media that it refers to.

media           which files lie beside a timeline, under which names
edit            what a timeline is, before any format: pieces of media in lanes, counted in frames
build, sounds   a film that was made -> its edit: pictures, and what is heard
timeline        an edit -> OpenTimelineIO
fcp7, edl       that -> Final Cut Pro 7 XML, an edit decision list: by OpenTimelineIO's adapters
fcpxml          an edit -> Final Cut Pro's XML
exports         all of them as files, and what each lacks
"""
