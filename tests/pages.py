"""All pages of the site, with those that git ignores."""

from scripts.book import cells, coursework_pages, names

coursework_pages.write()
names.write_reference()
PAGES = cells.pages()
