"""What people report of programs that re-encode photos, what becomes of it here, and the test."""

from typing import NamedTuple


class Situation(NamedTuple):
    """A situation, its outcome, and the file and name of its test."""

    case: str
    outcome: str
    test: str


FILES = "test_photo_files.py::"
PARTS = "test_jpeg_parts.py::"
KEPT = "test_kept_metadata.py::"
PIXELS = "test_right_pixels.py::"
CLI = "test_cli.py::"
PHOTOS = "test_photos.py::"

SITUATIONS = tuple(
    Situation(*row)
    for row in (
        (
            "a result's path leads to a photo by another name: two paths to one folder, a "
            "case-insensitive volume",
            "refused before anything is done, with --force, too",
            f"{FILES}test_an_image_by_another_name_is_not_overwritten",
        ),
        (
            "the same, since the run has begun",
            "that photo is refused, the others go on",
            f"{FILES}test_an_image_is_not_overwritten_that_came_there_since",
        ),
        (
            "A.jpg and a.jpg, or names that differ in how letters are composed",
            "two results, told apart by a hash",
            f"{FILES}test_names_that_some_volumes_take_for_one_are_told_apart",
        ),
        (
            "two results turn out to be one file",
            "the second is refused",
            f"{FILES}test_no_result_is_overwritten_by_another_of_the_run",
        ),
        (
            "a.jpg and a.png in one run",
            "two results, of the whole names",
            f"{PHOTOS}test_two_photos_of_one_name_have_a_result_each",
        ),
        (
            "photos of one name in several folders, one folder for results",
            "refused; --keep-folders writes them",
            f"{FILES}test_the_same_name_in_two_folders",
        ),
        (
            "too little memory, or a full disk, for one photo",
            "the others go on; status 2; the disk is named",
            f"{PHOTOS}test_what_the_system_refuses_one_photo_does_not_stop_the_others",
        ),
        (
            "a folder has a result's name",
            "that photo is refused",
            f"{FILES}test_a_folder_of_a_results_name",
        ),
        (
            "--out is a file, or lies in one",
            "refused",
            f"{FILES}test_a_file_in_place_of_the_folder",
        ),
        (
            "a name that stdout has no character for",
            "an escape",
            f"{CLI}test_a_name_that_stdout_has_no_character_for",
        ),
        ("a full stdout", "the work is done; status 1", f"{CLI}test_a_full_stdout"),
        (
            "the reader of a pipe is gone",
            "the work is done; status 1",
            f"{CLI}test_a_reader_that_has_seen_enough",
        ),
        (
            "a closed stdout or stderr",
            "the work is done; the status is that of the work, as nobody wants to read",
            f"{CLI}test_a_closed_stdout_or_stderr",
        ),
        ("a full stderr", "the work is done", f"{CLI}test_a_full_stderr"),
        (
            "a photo that may not be read, a broken disk, a loop of links",
            "a remedy of its own, which is not to save it anew",
            "test_images.py::test_what_is_no_fault_of_the_image",
        ),
        (
            "a photo with permissions 0600",
            "so has its result",
            f"{FILES}test_a_result_has_its_photos_permissions",
        ),
        (
            "EXIF in UTF-8, UNDEFINED values, maker's notes with offsets",
            "the same bytes",
            f"{KEPT}test_the_block_of_an_upright_photo_is_the_same_bytes",
        ),
        (
            "the same, of a turned photo",
            "orientation and sizes are patched in place",
            f"{KEPT}test_exiftool_reads_text_and_the_makers_note",
        ),
        (
            "libexif says that data are corrupt",
            "it does not",
            f"{KEPT}test_libexif_finds_nothing_corrupt",
        ),
        (
            "a thumbnail of a photo before",
            "cut off, or zeroed where other bytes follow",
            f"{KEPT}test_a_thumbnail_before_other_things_is_zeroed",
        ),
        (
            "XMP, extended XMP, IPTC, comments, makers' own segments",
            "the same bytes",
            f"{KEPT}test_exiv2_reads_all_kinds",
        ),
        (
            "a TIFF with a maker's note",
            "the note is left out with a line, other tags are kept with their types",
            f"{KEPT}test_a_makers_note_in_a_tiff_is_left_out",
        ),
        (
            "no resolution, or only the shape of a pixel",
            "no resolution",
            "test_metadata.py::test_no_resolution_is_made_up",
        ),
        (
            "a C2PA signature",
            "left out with a line: it is true of the original's bytes alone",
            f"{PARTS}test_a_signature_is_left_out",
        ),
        (
            "a video behind the end that looks like scans",
            "read; the video is kept",
            f"{PARTS}test_a_video_that_looks_like_scans_is_kept",
        ),
        (
            "Motion Photos, of Google and of Samsung",
            "the video is kept",
            f"{PARTS}test_what_phones_append_is_kept",
        ),
        (
            "gain maps (Ultra HDR) and other pictures behind the first",
            "kept, the list of them made right",
            f"{PARTS}test_further_pictures_are_kept_and_found",
        ),
        (
            "a gain map of a photo that lies on its side",
            "pixels and gain map stay as they are stored",
            f"{PARTS}test_a_photo_with_a_gain_map_stays_as_it_is_stored",
        ),
        (
            "other bytes behind the end",
            "left out with a line",
            f"{PARTS}test_what_is_not_known_is_left_out",
        ),
        (
            "TIFF of 8, 16 and 32 bits, signed, unsigned and float, white is zero, in planes",
            "the right picture, or refused",
            f"{PIXELS}test_tiff_of_every_kind",
        ),
        (
            "floats beyond 0 to 1",
            "refused: nothing says what is white",
            "test_images.py::test_floats_beyond_0_to_1_are_refused",
        ),
        (
            "DNG and other raw files whose first page is a thumbnail",
            "refused",
            f"{PIXELS}test_a_thumbnail_on_the_first_page",
        ),
        (
            "grey with a profile",
            "converted to sRGB, still grey",
            f"{PIXELS}test_grey_goes_through_its_profile",
        ),
        ("CMYK with a profile", "as libvips", f"{PIXELS}test_cmyk_goes_through_its_profile"),
        ("PNG with a gamma", "as browsers show it", f"{PIXELS}test_png_of_a_gamma"),
        (
            "PNG with chromaticities or cICP of other primaries",
            "converted to sRGB",
            f"{PIXELS}test_png_of_other_primaries",
        ),
        (
            "PNG of PQ, HLG, or colours that are not known",
            "refused",
            f"{PIXELS}test_png_of_hdr_or_unknown_colours",
        ),
        ("AVIF of PQ or HLG", "refused", f"{PIXELS}test_avif_of_hdr"),
        ("AVIF of other colours", "converted to sRGB", f"{PIXELS}test_avif_of_other_colours"),
        (
            "an orientation in XMP alone",
            "ignored, as browsers and libvips do",
            f"{PARTS}test_the_orientation_in_xmp_is_ignored",
        ),
        (
            "compressing a compressed photo for less than 5 %",
            "the photo is left as it is",
            f"{PHOTOS}test_a_small_gain_is_no_gain",
        ),
    )
)
