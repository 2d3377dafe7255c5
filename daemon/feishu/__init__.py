"""Feishu over HTTP, without its SDK: what every call needs, then documents, files and the bot.

Reading order: errors, codes, wire, limits, quota, token, client; on top of it bitable, sheets,
wiki, media, uploads; alone: webhook. Nothing here knows our ledger or our settings. What is said of
Feishu comes from its server documentation as of 2026-05; nothing was tried against the live
service.
"""
